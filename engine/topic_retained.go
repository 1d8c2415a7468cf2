package engine

// defaultRetained is what Server.MaxRetained is by default.
const defaultRetained = 1 << 20

// retainedLimit is MaxRetained with its default; 0: none.
func (s *Server) retainedLimit() int {
	n := s.MaxRetained
	setDefault(&n, defaultRetained)
	return max(n, 0)
}

// Forget removes the retained message of key; "" is that without a key. Nothing is
// delivered: to notify subscribers too, publish an empty retained message with its Key.
// Any goroutine.
func (t *Topic) Forget(key string) {
	if t.server.up.Load() {
		t.server.settings.hub.Forget(t.name, key)
	}
}

// ForgetAll removes all retained messages of the topic. Nothing is delivered. Any
// goroutine.
func (t *Topic) ForgetAll() {
	if t.server.up.Load() {
		t.server.settings.hub.ForgetAll(t.name)
	}
}
