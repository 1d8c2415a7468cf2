package engine

import (
	"cmp"
	"slices"

	"github.com/fanloop-go/fanloop/loop"
)

// relieve drops the connections of a loop that hold most of what is queued,
// closing ones too, until a tenth of the budget is free again. On the loop.
func (s *Server) relieve(l *loop.Loop) {
	type holder struct {
		ws     *WebSocket
		queued int
	}
	var holders []holder
	l.Each(func(c *loop.Conn) {
		h, ok := c.Handler().(*handler)
		if !ok || h.opening != nil {
			return
		}
		if ws := (*WebSocket)(h); ws.Buffered() > 0 {
			holders = append(holders, holder{ws, ws.Buffered()})
		}
	})
	slices.SortFunc(holders, func(a, b holder) int { return cmp.Compare(b.queued, a.queued) })
	excess := l.Queued() - l.QueueBudget()/10*9
	for _, h := range holders {
		if excess <= 0 {
			return
		}
		excess -= h.queued
		if h.ws.isOpen() { // others are counted, if they were slow
			s.endpoint.hub.closed.Add(1)
		}
		h.ws.giveUp()
	}
}

// giveUp drops a connection because of what is queued for it. Any goroutine.
func (ws *WebSocket) giveUp() {
	ws.conn.Lock()
	ws.state.Or(uint32(askRelief))
	ws.conn.Unlock()
	ws.conn.Close(loop.CloseReset)
}
