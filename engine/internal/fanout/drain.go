package fanout

// Drained calls OnGap for a slow member and writes what waits for it, if its
// connection has sent everything. On the loop, inside an event of the connection.
func (m *Member) Drained() {
	if m.waiting() == nil || m.blocked() {
		return
	}
	m.callOnGap()
	m.writeWaiting()
}

// blocked reports whether something has to be sent before anything else is written.
// OnNotify follows when it is.
func (m *Member) blocked() bool {
	m.conn.Lock()
	defer m.conn.Unlock()
	if m.out.Fragments != 0 {
		return true // its end notifies
	}
	if m.conn.QueuedLocked() == 0 {
		return false
	}
	m.conn.NotifyEmptyLocked()
	return true
}

// writeWaiting writes what waits for m until the socket takes no more. When nothing
// is left, m is no longer slow.
func (m *Member) writeWaiting() {
	f := m.fan()
	f.mu.Lock()
	defer f.mu.Unlock()
	c := m.conn
	c.Lock()
	defer c.Unlock()
	w := m.waiting()
	w.writeWaitingLocked(false)
	w.reporting = 0
	switch {
	case w.nothing():
		m.unmarkSlowLocked()
	case m.out.Fragments == 0: // otherwise the end of the message notifies
		c.NotifyEmptyLocked()
	}
}

// writeWaitingLocked writes what waits, in the order in which it was published: all of
// it, or until the socket takes no more. It ends before a message that OnGap has
// to be called for first, and writes nothing while a fragmented message is under
// way (§5.4). Under the locks of the fan and the connection.
func (w *waiting) writeWaitingLocked(all bool) {
	m := w.m
	if m.out.Fragments != 0 {
		return
	}
	for len(w.queue) > 0 && (all || !m.conn.BlockedLocked()) {
		if b := w.queue[0]; b.gapped() && b.head() > w.reporting {
			return
		}
		m.writeLocked(w.pop())
	}
}
