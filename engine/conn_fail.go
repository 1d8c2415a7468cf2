package engine

import (
	"errors"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// Fail fails the connection (RFC 6455 section 7.1.7): call it when the peer breaks a rule of your
// program, or when your program cannot go on with it. It sends what is queued, and then a close
// frame with code and reason, which is cut to 123 bytes. What the peer sends from now on is
// discarded. OnError is called with err, and Err returns it; nil stands for a *ProtocolError of
// code and reason. OnClose gets code and reason, whatever the peer answers.
//
// With StatusInternalError, Cause returns CauseFailed. With other codes it is the cause that goes
// with err, such as CausePolicy for a *ProtocolError with 1008, and CauseFailed for errors of
// others.
//
// From now on sends return ErrClosed. What was published and waits for a slow subscriber is
// dropped. Fail does nothing if the connection is closed or closing. It returns ErrInvalidStatus
// if code may not be sent. Any goroutine.
func (ws *WebSocket) Fail(code StatusCode, reason string, err error) error {
	if !code.ValidOnWire() {
		return ErrInvalidStatus
	}
	if err == nil {
		err = &ProtocolError{Code: code, Reason: reason}
	}
	why := CauseFailed
	if code != StatusInternalError {
		why = closeCauseOf(err)
	}
	if ws.askFail(why, closeFrame{code, reason}, err) {
		ws.conn.Notify()
	}
	return nil
}

// askFail notes a Fail and reports whether it is the first request for the end.
func (ws *WebSocket) askFail(why CloseCause, f closeFrame, err error) (first bool) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	first = ws.out.AskLocked(outlet.AskFail | outlet.AskMute)
	if first {
		e := ws.endingLocked()
		e.asked, e.failure = f, err
		if e.err == nil {
			e.why = why
		}
	}
	return first
}

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
	ws.failFor(closeCauseOf(err), closeFrame{code, reason}, err)
}

// failFor is fail on behalf of why. Loop only.
func (ws *WebSocket) failFor(why CloseCause, f closeFrame, err error) {
	if ws.phase() >= outlet.Failing {
		return
	}
	first := ws.blame(why, err) // before anybody can see that it ends, and end it otherwise
	switch ws.phase() {
	case outlet.Open:
		ws.note(f)
		ws.becomeSaying(outlet.Failing, f)
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
func (ws *WebSocket) report(err error) { ws.reportFor(closeCauseOf(err), err) }

// reportFor is report on behalf of why.
func (ws *WebSocket) reportFor(why CloseCause, err error) { ws.tell(ws.blame(why, err), err) }

// tell calls OnError with err if it is the first cause of the end.
func (ws *WebSocket) tell(first bool, err error) {
	if first && ws.opening == nil {
		ws.callError(err)
	}
}

// blame keeps why and err if they are the first cause of the end, and reports whether they are.
func (ws *WebSocket) blame(why CloseCause, err error) bool {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	e := ws.endingLocked()
	if e.err != nil {
		return false
	}
	e.why, e.err = why, err
	return true
}
