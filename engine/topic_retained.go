package engine

// defaultRetained is what Server.MaxRetained is by default.
const defaultRetained = 1 << 20

// retainedLimit is MaxRetained with its default; 0: none.
func (s *Server) retainedLimit() int {
	n := s.MaxRetained
	setDefault(&n, defaultRetained)
	return max(n, 0)
}

// ClearRetained removes all retained messages of the topic. Its subscribers are not
// notified. To remove one, publish an empty retained message with its Key. Any
// goroutine.
func (t *Topic) ClearRetained() {
	if t.server.up.Load() {
		t.server.settings.hub.ClearRetained(t.name)
	}
}
