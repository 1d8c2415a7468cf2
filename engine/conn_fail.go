package engine

import (
	"errors"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// failProtocol fails the connection for what the peer did (section 7.1.7).
func (ws *WebSocket) failProtocol(err error) {
	var p *codec.ProtocolError
	if !errors.As(err, &p) {
		p = &codec.ProtocolError{Code: StatusInternalError, Reason: "internal error"}
	}
	ws.fail(p.Code, p.Reason, err)
}

// fail sends a close frame, gives the peer time to read it, and ends the
// connection. err is the cause. Loop only.
func (ws *WebSocket) fail(code StatusCode, reason string, err error) {
	ws.carryOut()
	if ws.phase() >= outlet.Failing {
		return
	}
	first := ws.blame(err) // before anybody can see that it ends, and end it otherwise
	switch ws.phase() {
	case outlet.Open:
		ws.note(closeFrame{code, reason})
		ws.becomeSaying(outlet.Failing, closeFrame{code, reason})
		ws.conn.Close(loop.CloseLinger)
		ws.endPauses() // or a peer that writes first would never read why
	case outlet.Opening, outlet.Closing, outlet.Leaving: // there is nothing to say, or it is said already
		ws.conn.Close(loop.CloseNow)
		ws.become(outlet.Failing)
	case outlet.Failing, outlet.Answering, outlet.Closed: // as above
	}
	ws.tell(first, err)
}

// report keeps the first cause of the end and calls OnError with it. Defer what follows it:
// OnError may not return.
func (ws *WebSocket) report(err error) { ws.tell(ws.blame(err), err) }

// tell calls OnError with err if it is the first cause of the end.
func (ws *WebSocket) tell(first bool, err error) {
	if first && ws.opening == nil {
		ws.callError(err)
	}
}

// blame keeps err if it is the first cause of the end, and reports whether it is.
func (ws *WebSocket) blame(err error) bool {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	e := ws.endingLocked()
	if e.err != nil {
		return false
	}
	e.err = err
	return true
}
