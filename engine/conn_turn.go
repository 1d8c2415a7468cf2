package engine

import "github.com/fanloop-go/fanloop/loop"

// A connection with much input waits for its turn, so that the others of its loop get theirs
// (see loop.Cost). Meanwhile it is paused as by PauseReading: bytes that were received and
// not parsed are held, the rest is left to TCP.

// postpone puts m off, and what was received behind it. It keeps its progress if
// no other connection does: those of all together would take much memory.
func (ws *WebSocket) postpone(m inflation) {
	if !ws.waitForTurn(&m) {
		m.drop() // data after Close is discarded
		return
	}
	if !ws.conn.KeepTurn(takeTurn) {
		m.drop()
		ws.conn.Defer(takeTurn)
		return
	}
	m.keep(ws.conn.Loop())
}

// yield puts off what was received and not looked at.
func (ws *WebSocket) yield() {
	if ws.waitForTurn(nil) {
		ws.conn.Defer(takeTurn)
	}
}

// waitForTurn pauses an open connection, with m as the message to go on with.
func (ws *WebSocket) waitForTurn(m *inflation) bool {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if !ws.out.IsOpen() {
		return false
	}
	ws.paused.Or(pausedForTurn)
	if m != nil {
		ws.inputLocked().waiting = m
	}
	return true
}

// takeTurn continues where postpone or yield stopped, as an event of c.
func takeTurn(c *loop.Conn) {
	ws := (*WebSocket)(c.Handler().(*handler))
	ws.paused.And(^pausedForTurn)
	ws.carryOut()
	if ws.paused.Load() != 0 { // paused again meanwhile: the turn is lost
		ws.loseProgress()
		return
	}
	ws.resume()
	ws.carryOut()
}

// takeWaiting returns the message that was put off; nil if there is none.
func (ws *WebSocket) takeWaiting() *inflation {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	in := ws.knownInputLocked()
	if in == nil {
		return nil
	}
	m := in.waiting
	in.waiting = nil
	if m != nil {
		m.unkeep(ws.conn.Loop())
	}
	return m
}

// loseProgress makes the message that was put off, if there is one, begin anew.
func (ws *WebSocket) loseProgress() {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if in := ws.knownInputLocked(); in != nil && in.waiting != nil {
		in.waiting.release(ws.conn.Loop())
	}
}

// goOn inflates on where postpone stopped.
func (ws *WebSocket) goOn(m *inflation) {
	switch {
	case !ws.out.IsOpen(): // data after Close is discarded
		m.drop()
	case !ws.inflate(m):
		ws.postpone(*m)
		return
	}
	ws.conn.Loop().EndTurn() // the next message is for the next one
	ws.receive(nil)          // the reader gives the payload back
}
