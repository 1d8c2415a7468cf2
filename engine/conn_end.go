package engine

import (
	"errors"
	"io"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// ended handles the end of a connection that was open. cause is the error of the transport.
func (ws *WebSocket) ended(cause error) {
	if cause == loop.ErrPeerReset && ws.vanish() {
		return
	}
	prev := ws.phase()
	ws.become(outlet.Closed)
	ws.conn.Lock()
	e := ws.endingLocked()
	ws.dropInputLocked()
	known := e.err != nil
	if cause == loop.ErrStopped {
		ws.out.NoteLocked(outlet.AskMute) // the server ends at once
	}
	ws.conn.Unlock()
	if m := ws.member.Load(); m != nil {
		m.LeaveAll()
	}
	e.overdue = true
	switch s := ws.out.State(); {
	case known:
	case s.Asked(outlet.AskRelief): // it resets the connection, and with it what the kernel had not sent yet
		ws.report(ErrOverload)
	case prev == outlet.Open && s.Asked(outlet.AskShed): // not carried out in time
		ws.note(tooSlow)
		ws.report(ErrSlow)
	case prev == outlet.Open && s.Asked(outlet.AskFail): // as before
		ws.note(e.asked)
		ws.reportFor(e.why, e.failure)
	case prev != outlet.Answering || ws.conn.Lost():
		ws.report(ws.abnormal(cause))
	}
	ws.over()
}

// vanish is ended for a connection of which nothing is known but that the peer reset it, and
// nobody is told: most that come and go. It allocates nothing. It reports whether ws is one.
func (ws *WebSocket) vanish() bool {
	if ws.callbacks.OnError != nil || ws.callbacks.OnClose != nil {
		return false
	}
	ws.conn.Lock()
	bare := ws.extras == nil && ws.out.IsOpen()
	if bare {
		ws.out.MoveLocked(outlet.Closed)
		ws.extras = resetExtras
	}
	ws.conn.Unlock()
	if !bare {
		return false
	}
	if m := ws.member.Load(); m != nil {
		m.LeaveAll()
	}
	if s := ws.settings().server; s != nil {
		s.endings[CausePeerGone].Add(1)
	}
	return true
}

// dropInputLocked drops the input that waits.
func (ws *WebSocket) dropInputLocked() {
	in := ws.knownInputLocked()
	if in == nil {
		return
	}
	ws.conn.Loop().HoldHere(loop.UseReceived, -cap(in.held)-in.kept)
	if in.waiting != nil {
		in.waiting.release(ws.conn.Loop())
	}
	ws.extras.input = nil
}

// over does what follows OnError at the end. Loop only.
func (ws *WebSocket) over() {
	ws.conn.Lock()
	e := ws.endingLocked()
	e.overdue = false
	if e.status.code == 0 {
		e.status.code = StatusAbnormalClosure // section 7.1.5
	}
	f, inOrder := e.status, ws.extras.lane != nil || ws.callbacks.OnClose != nil
	why, _ := ws.causeLocked()
	ws.conn.Unlock()
	ws.cancelContext()
	if s := ws.settings().server; s != nil {
		s.endings[why].Add(1)
	}
	if ws.settings().dispatcher != nil && inOrder {
		ws.keepAddresses()
		ws.dispatch(job{last: true, run: func() { ws.finish(f) }})
		return
	}
	ws.finish(f)
}

// keepAddresses keeps what the loop forgets before a worker calls OnClose.
func (ws *WebSocket) keepAddresses() {
	if ws.callbacks.OnClose == nil {
		return
	}
	kept := &addrs{ws.conn.RemoteAddr(), ws.conn.LocalAddr()}
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.endingLocked().kept = kept
}

// finish calls OnClose, and ends the use of ws.
func (ws *WebSocket) finish(f closeFrame) {
	defer ws.finished()
	ws.callClose(f.code, f.reason)
}

func (ws *WebSocket) finished() {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	e := ws.endingLocked()
	e.ended, e.kept = true, nil
	if d := ws.extras.onDemand; d != nil && d.done != nil {
		close(d.done)
	}
}

// abnormal explains an end without a closing handshake.
func (ws *WebSocket) abnormal(cause error) error {
	switch {
	case cause == loop.ErrPeerReset:
		return errPeerReset
	case cause == nil || errors.Is(cause, io.EOF):
		return ErrAbnormalClosure
	case cause == loop.ErrStopped && ws.settings().server != nil:
		return ErrServerClosed
	case cause == loop.ErrStopped:
		return cause // of the Group of a client
	}
	return &abnormalError{cause}
}

// abnormalError is ErrAbnormalClosure with the error of the network. Its text is made when
// it is asked for: in a storm of resets that would cost much.
type abnormalError struct{ cause error }

var errPeerReset error = &abnormalError{loop.ErrPeerReset}

func (e *abnormalError) Error() string { return ErrAbnormalClosure.Error() + ": " + e.cause.Error() }

func (e *abnormalError) Is(target error) bool { return target == ErrAbnormalClosure }

func (e *abnormalError) Unwrap() error { return e.cause }
