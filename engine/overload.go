package engine

import (
	"cmp"
	"slices"

	"github.com/fanloop-go/fanloop/loop"
)

// relieve drops the connections of a loop that hold most of what is queued,
// until a tenth of the budget is free again. On the loop.
func (s *Server) relieve(l *loop.Loop) {
	type holder struct {
		ws     *WebSocket
		queued int
	}
	var holders []holder
	eachOpen(l, func(ws *WebSocket) {
		if n := ws.Buffered(); n > 0 {
			holders = append(holders, holder{ws, n})
		}
	})
	slices.SortFunc(holders, func(a, b holder) int { return cmp.Compare(b.queued, a.queued) })
	excess := l.Queued() - l.QueueBudget()/10*9
	for _, h := range holders {
		if excess <= 0 {
			return
		}
		excess -= h.queued
		h.ws.drop(ErrOverload)
		s.endpoint.hub.closed.Add(1)
	}
}
