package engine

import (
	"sync"
	"unicode/utf8"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// inflaters are borrowed for a message.
var inflaters = sync.Pool{New: func() any { return codec.NewInflater() }}

// inflation is a compressed message that is received, and not delivered yet. Owned
// by the loop.
type inflation struct {
	op       OpCode
	payload  []byte          // borrowed from the reader
	inflater *codec.Inflater // nil: it has not begun
	counted  int             // bytes of inflater in the loop's ledger
}

// drop gives back what inflating takes: it begins anew, or is over.
func (m *inflation) drop() {
	if m.inflater != nil {
		m.inflater.Release()
		inflaters.Put(m.inflater)
		m.inflater = nil
	}
}

// keep counts what m holds while it waits.
func (m *inflation) keep(l *loop.Loop) {
	m.counted = m.inflater.Size()
	l.HoldHere(loop.UseReceived, m.counted)
}

// unkeep takes keep back.
func (m *inflation) unkeep(l *loop.Loop) {
	l.HoldHere(loop.UseReceived, -m.counted)
	m.counted = 0
}

// release is unkeep and drop.
func (m *inflation) release(l *loop.Loop) {
	m.unkeep(l)
	m.drop()
}

// deliverCompressed gives a message to its callback as it was before compression:
// now, or if the loop has others to serve, in a later turn. It reports whether the
// payload of ev is done with.
func (ws *WebSocket) deliverCompressed(ev *codec.Event) (done bool) {
	m := inflation{op: ev.OpCode, payload: ev.Payload}
	if ws.inflate(&m) {
		return true
	}
	m.payload = ws.reader.Keep(m.payload)
	ws.postpone(m)
	return false
}

// inflate inflates and delivers m as far as the loop lets it, and reports whether
// that was all of it. What has to wait behind others is likely to be dropped, so
// a large message is not begun then.
func (ws *WebSocket) inflate(m *inflation) (done bool) {
	l := ws.conn.Loop()
	if m.inflater == nil {
		if loop.Cost(len(m.payload))*costPacked > l.Left() && !l.KeepsTurns() {
			return false
		}
		m.inflater = inflaters.Get().(*codec.Inflater)
		m.inflater.Begin(ws.received(), ws.settings().inflateLimit())
	}
	defer ws.countWindow(ws.received().Size())
	for left := l.Left(); left > 0; left = l.Left() {
		spent, whole, err := m.inflater.Continue(m.payload, codec.Effort(left))
		l.Charge(loop.Cost(spent))
		switch {
		case err != nil:
			m.drop()
			ws.failProtocol(err)
			return true
		case whole:
			ws.deliverInflated(m)
			return true
		}
	}
	return false
}

// deliverInflated gives a message that is whole to its callback.
func (ws *WebSocket) deliverInflated(m *inflation) {
	defer m.drop()
	p := m.inflater.Message()
	ws.conn.Loop().Charge(costOf(0, len(p)))
	if m.op == Text && !utf8.Valid(p) {
		ws.failProtocol(codec.ErrInvalidUTF8) // RFC 6455 section 8.1
		return
	}
	ws.deliverMessage(m.op, p, true)
	loop.Poison(p)
}

// countWindow counts what the window of the peer takes, which took before.
func (ws *WebSocket) countWindow(before int) {
	if n := ws.received().Size(); n != before {
		ws.settings().compressor.windows.Add(int64(n - before))
	}
}

// received returns what the peer may refer back to.
func (ws *WebSocket) received() *codec.Window {
	if ws.out.Takeover&outlet.ReceivesInContext == 0 {
		return nil
	}
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return ws.extras.takeover.received
}
