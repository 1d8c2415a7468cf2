package revoke

// Check returns what Register would, and registers nothing.
func (l *List) Check(id Identity) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkLocked(&id)
}
