package engine

import "github.com/fanloop-go/fanloop/engine/internal/outlet"

// phase returns the phase of ws. Any goroutine; it is stable on the owning loop.
func (ws *WebSocket) phase() outlet.Phase { return ws.out.State().Phase() }

// become moves ws on to a later phase and starts the deadline that belongs to it.
// Loop only; under no lock.
func (ws *WebSocket) become(p outlet.Phase) {
	ws.conn.Lock()
	was := ws.phase()
	if p <= was {
		ws.conn.Unlock()
		return
	}
	ws.out.MoveLocked(p)
	ws.conn.Unlock()
	switch p {
	case outlet.Open:
		ws.armAlive(ws.heard)
	case outlet.Closing, outlet.Leaving, outlet.Failing, outlet.Answering:
		ws.closeMember()
		ws.armClose()
	case outlet.Opening, outlet.Closed:
	}
}
