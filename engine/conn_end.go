package engine

import (
	"errors"
	"io"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// ended is the end of a connection that was open; cause is what the transport
// reported.
func (ws *WebSocket) ended(cause error) {
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
	switch s := ws.out.State(); {
	case known:
	case s.Asked(outlet.AskRelief):
		cause = ErrOverload
	case prev == outlet.Open && s.Asked(outlet.AskShed): // not carried out in time
		ws.note(tooSlow)
		cause = ErrSlow
	}
	e.overdue = true
	if !known && (prev != outlet.Answering || ws.conn.Lost()) {
		ws.report(ws.abnormal(cause))
	}
	ws.over()
}

// dropInputLocked gives back what came and waits.
func (ws *WebSocket) dropInputLocked() {
	in := ws.knownInputLocked()
	if in == nil {
		return
	}
	ws.conn.Loop().HoldHere(loop.UseReceived, -cap(in.held))
	if in.waiting != nil {
		in.waiting.release(ws.conn.Loop())
	}
	ws.extras.input = nil
}

// over is the rest of the end, after OnError. Loop only.
func (ws *WebSocket) over() {
	ws.conn.Lock()
	e := ws.endingLocked()
	e.overdue = false
	if e.status.code == 0 {
		e.status.code = StatusAbnormalClosure // section 7.1.5
	}
	f, inOrder := e.status, ws.extras.lane != nil || ws.callbacks.OnClose != nil
	ws.conn.Unlock()
	ws.cancelContext()
	if s := ws.settings().server; s != nil {
		s.endings[ws.Cause()].Add(1)
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

// finish is the last callback, and what follows it.
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
	case cause == ErrSlow || cause == ErrOverload:
		return cause
	case cause == nil || errors.Is(cause, io.EOF):
		return ErrAbnormalClosure
	case cause == loop.ErrStopped && ws.settings().server != nil:
		return ErrServerClosed
	case cause == loop.ErrStopped:
		return cause // of the Group of a client
	}
	return &abnormalError{cause}
}

// abnormalError is ErrAbnormalClosure with what the network said. It is put into
// words only when somebody asks: in a storm of resets nobody does.
type abnormalError struct{ cause error }

func (e *abnormalError) Error() string { return ErrAbnormalClosure.Error() + ": " + e.cause.Error() }

func (e *abnormalError) Unwrap() []error { return []error{ErrAbnormalClosure, e.cause} }
