package engine

import "github.com/fanloop-go/fanloop/loop"

// Each runs fn for every open WebSocket of the server, as WebSocket.Do does, so
// on any loop. It does not wait. Any goroutine.
func (s *Server) Each(fn func(ws *WebSocket)) {
	if !s.up.Load() {
		return
	}
	for _, l := range s.group.Loops() {
		_ = l.Do(func() { // ended: nobody is left
			eachOpen(l, func(ws *WebSocket) {
				_ = ws.conn.Do(func() { // ended meanwhile: not open any more
					if ws.out.IsOpen() {
						callEach(fn, ws)
					}
				})
			})
		})
	}
}

// eachOpen calls fn for every open WebSocket of l. On the loop.
func eachOpen(l *loop.Loop, fn func(ws *WebSocket)) {
	l.Each(func(c *loop.Conn) {
		if h, ok := c.Handler().(*handler); ok && (*WebSocket)(h).out.IsOpen() {
			fn((*WebSocket)(h))
		}
	})
}

// Conns returns how many connections there are, those in the opening handshake and those
// of Server.HTTP included.
func (s *Server) Conns() int { return s.conns.All() }
