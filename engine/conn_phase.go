package engine

import (
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
)

// phase returns the phase of ws. Any goroutine; it is stable on the owning loop.
func (ws *WebSocket) phase() outlet.Phase { return ws.out.State().Phase() }

// become moves ws on to a later phase and starts the deadline that belongs to it.
// Loop only; under no lock.
func (ws *WebSocket) become(p outlet.Phase) {
	ws.conn.Lock()
	later := p > ws.phase()
	if later {
		ws.out.MoveLocked(p)
	}
	ws.conn.Unlock()
	if later {
		ws.entered(p)
	}
}

// becomeSaying is become of an open connection that queues the close frame of this side.
// The frame and the phase are one step: no other goroutine sends a frame behind it.
func (ws *WebSocket) becomeSaying(p outlet.Phase, f closeFrame) {
	var buf [maxControl]byte
	payload := codec.AppendClosePayload(buf[:0], f.code, f.reason)
	ws.conn.Lock()
	ws.out.MoveLocked(p)
	_ = ws.writeControlLocked(codec.Close, payload) // closed: OnClose follows
	ws.conn.Unlock()
	ws.entered(p)
}

// entered does what begins with a phase. Loop only; under no lock.
func (ws *WebSocket) entered(p outlet.Phase) {
	switch p {
	case outlet.Open:
		ws.armAlive(ws.heard)
	case outlet.Closing, outlet.Leaving, outlet.Failing, outlet.Answering:
		ws.closeMember()
		ws.armClose()
	case outlet.Opening, outlet.Closed:
	}
}
