package engine

import (
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// closeFrame is what a close frame says.
type closeFrame struct {
	code   StatusCode
	reason string
}

// Close begins the closing handshake (RFC 6455 section 7.1.2). It sends what is queued or was
// published before, and then a close frame with code and reason; code 0 sends no code, and
// reason is cut to 123 bytes. OnClose is called when the peer has answered and closed its side, or
// when it has done neither nor read anything for Limits.CloseTimeout. A peer that answers and keeps
// its connection open sees the end at once, and OnClose is called CloseTimeout later.
//
// From now on sends return ErrClosed, except those in OnGap, which is still called if messages
// are missing. Messages of the peer that arrive from now on are discarded: wait for the answers
// that you want first. The first Close counts; another one is no error. It returns
// ErrInvalidStatus if code may not be sent. Any goroutine.
func (ws *WebSocket) Close(code StatusCode, reason string) error {
	if !mayClose(code) {
		return ErrInvalidStatus
	}
	ws.closeFor(CauseClosed, closeFrame{code, reason})
	return nil
}

// closeFor is Close on behalf of why. Any goroutine.
func (ws *WebSocket) closeFor(why CloseCause, f closeFrame) {
	if ws.askClose(why, f) {
		ws.conn.Notify()
	}
}

// askClose notes a Close and reports whether it is the first request for the end.
// Nothing that is published from now on is for ws.
func (ws *WebSocket) askClose(why CloseCause, f closeFrame) (first bool) {
	if m := ws.member.Load(); m != nil {
		return m.AskClose(func() bool { return ws.askCloseLocked(why, f) })
	}
	ws.conn.Lock()
	first = ws.askCloseLocked(why, f)
	ws.conn.Unlock()
	if first {
		ws.closeMember() // it may have subscribed meanwhile
	}
	return first
}

func (ws *WebSocket) askCloseLocked(why CloseCause, f closeFrame) (first bool) {
	first = ws.out.AskLocked(outlet.AskClose | outlet.AskMute)
	if first {
		e := ws.endingLocked()
		e.asked, e.why = f, why
	}
	return first
}

// mayClose reports whether Close accepts code.
func mayClose(code StatusCode) bool {
	return code == 0 || code == StatusNoStatusRcvd || code.ValidOnWire()
}

// CloseNow drops the connection and what is queued, without a close frame. Both sides get 1006.
// Err returns ErrClosed, unless something ended the connection before. Any goroutine.
func (ws *WebSocket) CloseNow() {
	ws.conn.Lock()
	ws.out.NoteLocked(outlet.AskDrop | outlet.AskMute) // whoever asked for less
	switch ws.phase() {
	case outlet.Open, outlet.Closing, outlet.Leaving:
		if e := ws.endingLocked(); e.err == nil && !ws.out.State().Asked(outlet.AskShed|outlet.AskFail|outlet.AskRelief) {
			e.why, e.err = CauseDropped, ErrClosed
		}
	case outlet.Opening, outlet.Failing, outlet.Answering, outlet.Closed: // why it ends is known
	}
	ws.conn.Unlock()
	ws.conn.Close(loop.CloseNow)
}

// shed asks for the end of a slow subscriber. Its queue is full, so the close
// frame may come too late: CloseTimeout decides. Any goroutine.
func (ws *WebSocket) shed() {
	ws.conn.Lock()
	first := ws.out.AskLocked(outlet.AskShed)
	ws.conn.Unlock()
	if first {
		ws.conn.Notify()
	}
}

// tooSlow is the close frame for a slow subscriber.
var tooSlow = closeFrame{StatusTryAgainLater, "too slow for what is published"}

// carryOut does what other goroutines, or callbacks of this event, have requested. Loop
// only, inside an event of the connection.
func (ws *WebSocket) carryOut() {
	s := ws.out.State()
	if s == outlet.State(outlet.Open) || s.Phase() != outlet.Open {
		return
	}
	switch {
	case s.Asked(outlet.AskDrop | outlet.AskRelief): // conn ends by itself
	case s.Asked(outlet.AskShed):
		ws.beginClose(tooSlow, ErrSlow)
	case s.Asked(outlet.AskFail):
		e := ws.asked()
		ws.failFor(e.why, e.asked, e.failure)
	case s.Asked(outlet.AskClose):
		ws.finishTopics()
		ws.beginClose(ws.asked().asked, nil)
	}
}

// asked returns the ending as Close or Fail asked for it.
func (ws *WebSocket) asked() ending {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return *ws.endingLocked()
}

// beginClose begins the closing handshake. cause is nil if the application asked
// for it. Loop only.
func (ws *WebSocket) beginClose(f closeFrame, cause error) {
	ws.becomeSaying(outlet.Closing, f)
	ws.endPauses() // or the answer would never be read
	if cause != nil {
		ws.note(f)
		ws.report(cause)
	}
}

// note keeps the code and reason for OnClose.
func (ws *WebSocket) note(f closeFrame) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.endingLocked().status = f
}

// closeMember takes a connection that is closing out of its topics.
func (ws *WebSocket) closeMember() {
	if m := ws.member.Load(); m != nil {
		m.Close()
	}
}

// finishTopics calls OnGap for missing messages and writes the others that were published. The
// connection gets nothing after that. On the loop, in an
// event of the connection.
func (ws *WebSocket) finishTopics() {
	if m := ws.member.Load(); m != nil {
		m.Finish()
	}
}

// peerClosed handles the close frame of the peer (RFC 6455 section 5.5.1). Loop only.
func (ws *WebSocket) peerClosed(payload []byte) {
	code, reason, err := codec.ParseClosePayload(payload)
	if err != nil {
		ws.failProtocol(err)
		return
	}
	ws.carryOut() // a Close or Fail of this side came first
	if ws.phase() == outlet.Open {
		ws.finishTopics()
		ws.carryOut() // OnGap may have called Close
	}
	if ws.out.State().Asked(outlet.AskDrop|outlet.AskRelief) || !ws.phase().Hears() {
		return
	}
	ws.note(closeFrame{code, reason})
	if ws.phase() == outlet.Open {
		ws.becomeSaying(outlet.Answering, closeFrame{code, ""}) // section 5.5.1: the answer echoes the code
	} else {
		ws.become(outlet.Answering)
	}
	if ws.settings().role == codec.Server {
		ws.conn.Close(loop.CloseLinger) // section 7.1.1: the server ends the transport first
	}
}

// peerEnded is the end of what the peer sends, without a close frame. What is
// queued is still sent: the peer may read on. Loop only.
func (ws *WebSocket) peerEnded() {
	ws.carryOut()
	ws.conn.Close(loop.CloseFlushed)
	ws.become(outlet.Leaving)
}
