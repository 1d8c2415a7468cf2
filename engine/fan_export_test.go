package engine

import "time"

// CutFlushes makes every flush of s go on in the next iteration when it has reached
// twice as many subscribers as stride, again and again. Before anything is
// published.
func CutFlushes(s *Server, stride int) {
	for _, f := range s.settings.hub.fans {
		f.stride = stride
		now := time.Duration(0)
		f.clock = func() time.Duration { now += flushSlice; return now }
	}
}

// FlushLeft returns how many subscribers the flush that is under way on the loop
// of ws has still to come to. On that loop.
func FlushLeft(ws *WebSocket) (n int) {
	f := ws.settings().hub.fans[ws.conn.Loop().Index()]
	if !f.flushing {
		return 0
	}
	for _, p := range f.parts[f.part:] {
		n += len(p.subs)
	}
	return n - f.next
}
