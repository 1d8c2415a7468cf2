package engine

// UpgradesWaiting is how many requests wait for a goroutine of BlockingUpgrade.
func UpgradesWaiting(s *Server) int {
	s.upgrades.mu.Lock()
	defer s.upgrades.mu.Unlock()
	return s.upgrades.waiting.Len()
}

// HoldUpgrades keeps a goroutine of BlockingUpgrade busy until release is called.
func HoldUpgrades(s *Server) (release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	s.upgrades.add(&question{left: func() bool { return false }, ask: func() { close(begun); <-end }})
	<-begun
	return func() { close(end) }
}
