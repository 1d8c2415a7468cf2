package engine

import "github.com/fanloop-go/fanloop/loop"

// Each runs fn for every open WebSocket of the server, on the loop of each, as WebSocket.Do
// does. It does not wait. Any goroutine.
func (s *Server) Each(fn func(ws *WebSocket)) {
	if !s.up.Load() {
		return
	}
	for _, l := range s.group.Loops() {
		_ = l.Do(func() { // ended: no connection is left
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

// EachLoop runs fn on every loop, with its number in Stats.Loops, behind what the loop has to do
// now. The time until then is the lag of the loop. It does not wait. Any goroutine.
func (s *Server) EachLoop(fn func(loop int)) {
	if !s.up.Load() {
		return
	}
	for i, l := range s.group.Loops() {
		_ = l.Do(func() { callEachLoop(fn, i) }) // ended: it has no lag
	}
}

// Conns returns the number of connections, including those in the opening handshake and those
// that Server.HTTP serves.
func (s *Server) Conns() int { return s.conns.All() }
