package engine

// CutFlushes makes every flush of s go on in the next iteration when it has reached
// twice as many subscribers as stride, again and again. Before anything is
// published.
func CutFlushes(s *Server, stride int) { s.settings.hub.CutFlushes(stride) }

// FlushLeft returns how many subscribers the flush that is under way on the loop
// of ws has still to come to. On that loop.
func FlushLeft(ws *WebSocket) int { return ws.settings().hub.FlushLeft(ws.conn.Loop()) }
