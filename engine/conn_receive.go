package engine

import (
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// receive reads what arrived, event by event.
func (ws *WebSocket) receive(b []byte) {
	defer ws.countAssembly(ws.reader.Held())
	for ws.phase().Hears() {
		if ws.paused.Load() != 0 {
			ws.hold(b)
			return
		}
		frames := ws.reader.Frames()
		ev, ok, n, err := ws.reader.Next(ws.settings().readerConfig(ws.out.Variant), b)
		if err != nil {
			ws.failProtocol(err)
			return
		}
		goOn := ws.conn.Loop().Spend(costOf(ws.reader.Frames()-frames, n))
		if !ok {
			return
		}
		b = b[n:]
		if !ws.deliver(&ev) {
			continue
		}
		loop.Poison(ev.Payload)
		if !goOn && len(b) > 0 {
			ws.yield()
		}
	}
}

// countAssembly counts what the reader keeps, which was counted as before.
func (ws *WebSocket) countAssembly(before int) {
	if now := ws.reader.Held(); now != before {
		ws.conn.Loop().HoldHere(loop.UseReceived, now-before)
	}
}

// deliver gives one event to its callback. It reports whether the payload is done
// with.
func (ws *WebSocket) deliver(ev *codec.Event) (done bool) {
	switch {
	case ev.OpCode.IsControl():
		ws.deliverControl(ev)
	case !ws.out.IsOpen(): // this side is closing: Close discards what the peer still sends
		ws.discard(len(ev.Payload))
	case ev.Compressed:
		return ws.deliverCompressed(ev)
	default:
		ws.deliverMessage(ev.OpCode, ev.Payload, ev.Fin)
	}
	return true
}

// discard counts data that comes while the connection is closing.
func (ws *WebSocket) discard(n int) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.endingLocked().discarded += n
}

// cameLate counts n bytes that came after the last that this side says: a close frame, or the
// refusal of the handshake. It ends the connection when they are more than an honest peer has
// under way that has not read it yet. Loop only, inside an event of the connection.
func (ws *WebSocket) cameLate(n int) {
	ws.conn.Lock()
	e := ws.endingLocked()
	e.flood += n
	over := e.flood > ws.settings().limits.mostLate()
	ws.conn.Unlock()
	if over {
		ws.abandon()
	}
}

// deliverMessage gives a message, or a piece of one, to its callback or to the
// worker pool.
func (ws *WebSocket) deliverMessage(op OpCode, p []byte, fin bool) {
	ws.messaged = max(ws.heard, ws.messaged+1) // each has a time of its own, see unfinished
	ws.conn.Loop().CountIn(1)
	if ws.settings().dispatcher != nil {
		ws.dispatchMessage(op, p, fin)
		return
	}
	ws.callMessage(op, p, fin)
}
