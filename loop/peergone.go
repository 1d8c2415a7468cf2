package loop

// PeerGone reports whether the peer has ended its side or the connection is broken, of
// which a connection whose reading is paused hears nothing, or not yet. It is what
// to ask before work is done for a peer that may have left meanwhile. Any goroutine.
func (c *Conn) PeerGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == ended || c.fd < 0 {
		return c.phase != opening
	}
	return hungUp(int(c.fd))
}
