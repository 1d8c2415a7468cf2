package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// handler is a WebSocket as its loop sees it. Its methods are the events of the
// connection, on the owning loop.
type handler WebSocket

// LoopConn implements loop.Handler.
func (h *handler) LoopConn() *loop.Conn { return &h.conn }

// OnOpen implements loop.Handler.
func (h *handler) OnOpen() {
	ws := (*WebSocket)(h)
	ws.arm(deadlineHandshake, ws.settings().limits.HandshakeTimeout) // of all the stages
	ws.opening.begin(ws)
}

// OnData implements loop.Handler.
func (h *handler) OnData(b []byte) {
	ws := (*WebSocket)(h)
	ws.hear(ws.conn.Loop().Now())
	if ws.opening != nil {
		ws.opening.data(ws, b)
		return
	}
	ws.receive(b)
	ws.carryOut()
	if !ws.out.IsOpen() {
		ws.cameLate(len(b))
	}
}

// OnDiscard implements loop.DiscardHandler.
func (h *handler) OnDiscard(n int) {
	ws := (*WebSocket)(h)
	ws.cameLate(n)
}

// OnEOF implements loop.Handler.
func (h *handler) OnEOF() {
	ws := (*WebSocket)(h)
	if ws.opening != nil {
		ws.conn.Close(loop.CloseNow)
		return
	}
	ws.peerEnded()
}

// OnNotify implements loop.Handler.
func (h *handler) OnNotify() {
	ws := (*WebSocket)(h)
	ws.sendDuePong()
	if m := ws.member.Load(); m != nil {
		m.Drained()
	}
	ws.carryOut()
	ws.resume()
}

// OnTimer implements loop.Handler.
func (h *handler) OnTimer() {
	ws := (*WebSocket)(h)
	ws.expired()
}

// OnDrain implements loop.Handler.
func (h *handler) OnDrain() {
	ws := (*WebSocket)(h)
	if ws.out.IsOpen() {
		ws.callDrain()
	}
	ws.carryOut()
}

// OnPanic implements loop.PanicHandler: a callback did not return. Its request is
// refused, or its connection failed.
func (h *handler) OnPanic(err *loop.PanicError) {
	ws := (*WebSocket)(h)
	if u, ok := ws.upgrade(); ok && !u.refused {
		ws.settings().logPanic(err, panicRefuses)
		u.reject(ws, err)
		return
	}
	ws.settings().logPanic(err, panicEnds)
	ws.fail(StatusInternalError, "internal error", err)
	ws.conn.Notify() // the callback may have been called by resume, which did not finish
	if e := ws.peekEnding(); e != nil && e.overdue {
		ws.over()
	}
}

// OnClose implements loop.Handler.
func (h *handler) OnClose(err error) {
	ws := (*WebSocket)(h)
	before := ws.reader.Held()
	ws.reader.Reset()
	ws.countAssembly(before)
	if onEnd := ws.settings().onEnd; onEnd != nil {
		defer onEnd()
	}
	if c := ws.settings().compressor; c != nil {
		defer c.leave(ws)
	}
	if o := ws.opening; o != nil {
		ws.opening = nil
		ws.become(outlet.Closed)
		o.lost(ws, err)
		return
	}
	ws.ended(err)
}
