package engine

import (
	"errors"
	"io"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// Close begins the closing handshake (RFC 6455 section 7.1.2): what is queued
// and then a close frame are sent, and OnClose follows when the peer has
// answered or Limits.CloseTimeout is over. code 0 sends none; reason is cut to
// 123 bytes. Closing twice is no error; the first one counts. Any goroutine;
// ErrInvalidStatus if code may not be sent.
func (ws *WebSocket) Close(code StatusCode, reason string) error {
	if !mayClose(code) {
		return ErrInvalidStatus
	}
	ws.lockClose()
	first := ws.sendCloseLocked(code, reason)
	if first {
		ws.deaf.Store(true)
	}
	ws.conn.Unlock()
	if first {
		ws.retire()
		ws.conn.Notify() // the loop sets the deadline
	}
	return nil
}

// mayClose says whether Close takes code.
func mayClose(code StatusCode) bool {
	return code == 0 || code == StatusNoStatusRcvd || code.ValidOnWire()
}

// CloseNow drops the connection and what is queued, without a close frame: both
// sides see 1006, and Err is ErrClosed. Any goroutine.
func (ws *WebSocket) CloseNow() {
	ws.conn.Lock()
	ws.deaf.Store(true)
	switch ws.state.Load() {
	case stateOpen, stateCloseSent: // nothing more is sent or delivered
		ws.state.Store(stateClosed)
		if x := ws.extrasLocked(); x.err == nil {
			x.err = ErrClosed
		}
	case stateOpening, stateCloseReceived, stateClosed: // nothing to add
	}
	ws.conn.Unlock()
	ws.conn.Close(loop.CloseNow)
}

// retire takes a connection that is closing out of its topics.
func (ws *WebSocket) retire() {
	if m := ws.member.Load(); m != nil {
		m.retire()
	}
}

// sendCloseLocked sends the one close frame of this side. It says whether it
// was the first to try.
func (ws *WebSocket) sendCloseLocked(code StatusCode, reason string) bool {
	switch ws.state.Load() {
	case stateOpen:
		var buf [maxControl]byte
		_ = ws.writeControlLocked(codec.Close, codec.AppendClosePayload(buf[:0], code, reason)) // closed: told already
		ws.state.Store(stateCloseSent)
		return true
	case stateOpening, stateCloseSent, stateCloseReceived, stateClosed: // nothing to add
	}
	return false
}

// peerClosed is the arrival of a close frame (§7.1.5). Loop only.
func (ws *WebSocket) peerClosed(payload []byte) {
	code, reason, err := codec.ParseClosePayload(payload)
	if err != nil {
		ws.failProtocol(err)
		return
	}
	ws.conn.Lock()
	state := ws.state.Load()
	if state == stateOpen {
		ws.sendCloseLocked(code, "") // §5.5.1: the answer echoes the code
	}
	if state == stateOpen || state == stateCloseSent {
		ws.state.Store(stateCloseReceived)
		x := ws.extrasLocked()
		x.code, x.reason = code, reason
	}
	ws.conn.Unlock()
	ws.failed = true // §5.5.1: whatever follows does not count
	ws.retire()
	if ws.endpoint.role == codec.Server {
		ws.conn.Close(loop.CloseLinger) // §7.1.1: the server ends the transport first
	}
	ws.conn.SetTimer(ws.endpoint.limits.CloseTimeout)
}

// failProtocol fails the connection for what the peer did (§7.1.7).
func (ws *WebSocket) failProtocol(err error) {
	var p *codec.ProtocolError
	if !errors.As(err, &p) {
		p = &codec.ProtocolError{Code: StatusInternalError, Reason: "internal error"}
	}
	ws.fail(p.Code, p.Reason, err)
}

// fail sends a close frame, waits a while for the peer to read it, and ends the
// connection. err is the cause. Loop only.
func (ws *WebSocket) fail(code StatusCode, reason string, err error) {
	if ws.failed {
		return
	}
	ws.failed = true
	ws.conn.Lock()
	mode := loop.CloseNow
	if ws.sendCloseLocked(code, reason) {
		mode = loop.CloseLinger
		x := ws.extrasLocked()
		x.code, x.reason = code, reason
	}
	ws.conn.Unlock()
	ws.retire()
	ws.conn.Close(mode)
	ws.conn.SetTimer(ws.endpoint.limits.CloseTimeout)
	ws.report(err)
}

// report notes the first cause of the end and tells OnError.
func (ws *WebSocket) report(err error) {
	ws.conn.Lock()
	x := ws.extrasLocked()
	first := x.err == nil
	if first {
		x.err = err
	}
	ws.conn.Unlock()
	if fn := ws.callbacks.OnError; first && fn != nil && ws.opening == nil {
		defer ws.guard()
		fn(ws, err)
	}
}

// ended is the end of a connection that was open; cause is what the transport
// reported.
func (ws *WebSocket) ended(cause error) {
	ws.conn.Lock()
	prev := ws.state.Swap(stateClosed)
	x := ws.extrasLocked()
	x.held, x.pong = nil, nil
	code, reason, told := x.code, x.reason, x.err != nil
	if errors.Is(cause, loop.ErrStopped) {
		ws.deaf.Store(true) // the server ends at once
	}
	ws.conn.Unlock()
	if m := ws.member.Load(); m != nil {
		m.leaveAll()
	}
	if code == 0 {
		code = StatusAbnormalClosure // §7.1.5
	}
	if prev != stateCloseReceived && !told {
		ws.report(abnormal(cause))
	}
	ws.conn.Lock()
	x.code = code
	ws.conn.Unlock()
	if ws.endpoint.dispatcher != nil {
		ws.dispatch(job{run: func() { ws.finish(code, reason) }})
		return
	}
	ws.finish(code, reason)
}

// finish is the last callback, and what follows it.
func (ws *WebSocket) finish(code StatusCode, reason string) {
	ws.callClose(code, reason)
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extras
	x.ended = true
	if x.done != nil {
		close(x.done)
	}
}

func (ws *WebSocket) callClose(code StatusCode, reason string) {
	if fn := ws.callbacks.OnClose; fn != nil {
		defer ws.guard()
		fn(ws, code, reason)
	}
}

// abnormal explains an end without a closing handshake.
func abnormal(cause error) error {
	if cause == nil || errors.Is(cause, io.EOF) {
		return ErrAbnormalClosure
	}
	return &abnormalError{cause}
}

// abnormalError is ErrAbnormalClosure with what the network said. It is put into
// words only when somebody asks: in a storm of resets nobody does.
type abnormalError struct{ cause error }

func (e *abnormalError) Error() string { return ErrAbnormalClosure.Error() + ": " + e.cause.Error() }

func (e *abnormalError) Unwrap() []error { return []error{ErrAbnormalClosure, e.cause} }
