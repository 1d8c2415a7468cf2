package engine

import "github.com/fanloop-go/fanloop/loop"

// PauseReading stops reading until ResumeReading. No message callback is called meanwhile,
// not even for bytes that have arrived. TCP slows the peer down: it can send what the buffers
// of the kernel and one read of the loop hold. Its close is not noticed, and PongTimeout and
// IdleTimeout do not count. After Close it does nothing, since the peer's answer must be read.
// Any goroutine; on another than the loop's, a callback may be running when it returns.
func (ws *WebSocket) PauseReading() { ws.pause(pausedByUser) }

// ResumeReading ends PauseReading. Callbacks follow for what arrived meanwhile. Any
// goroutine.
func (ws *WebSocket) ResumeReading() { ws.unpause(pausedByUser) }

// Reasons for which reading is paused.
const (
	pausedByUser uint32 = 1 << iota
	pausedByDispatch
	pausedForTurn // the loop serves others
)

func (ws *WebSocket) pause(by uint32) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.out.IsOpen() {
		ws.paused.Or(by) // receive sees it; only the loop pauses and resumes conn
	}
}

func (ws *WebSocket) unpause(by uint32) {
	if ws.paused.And(^by) == by {
		ws.conn.Notify()
	}
}

// endPauses ends all pauses of a connection that is closing. OnNotify goes on with reading,
// whatever event this is. Loop only.
func (ws *WebSocket) endPauses() {
	if ws.paused.Swap(0) != 0 {
		ws.conn.Notify()
	}
}

// hold stops reading and keeps what arrived before.
func (ws *WebSocket) hold(b []byte) {
	ws.conn.PauseRead()
	if len(b) == 0 {
		return
	}
	ws.conn.Lock()
	defer ws.conn.Unlock()
	in := ws.inputLocked()
	before := cap(in.held)
	in.held = append(in.held, b...)
	ws.conn.Loop().HoldHere(loop.UseReceived, cap(in.held)-before)
}

// resume ends a pause: it delivers first the message that was put off, then the bytes that
// are held, and then reads the socket.
func (ws *WebSocket) resume() {
	if ws.opening != nil {
		return
	}
	for ws.paused.Load() == 0 {
		ws.hear(ws.conn.Loop().Now()) // the silence was this side's
		if m := ws.takeWaiting(); m != nil {
			ws.goOn(m)
			continue
		}
		held := ws.takeHeld()
		if held == nil {
			ws.conn.ResumeRead()
			return
		}
		ws.receive(held) // which may pause, hold the rest, and be resumed
	}
}

func (ws *WebSocket) takeHeld() []byte {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	in := ws.knownInputLocked()
	if in == nil {
		return nil
	}
	held := in.held
	in.held = nil
	ws.conn.Loop().HoldHere(loop.UseReceived, -cap(held))
	return held
}
