package bench

import (
	"log/slog"
	"net/url"
	"slices"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// maxMessage is the largest message of the bench protocol, in bytes.
const maxMessage = 64 << 20

// NewServer returns a server of the bench protocol with fanloop on loops event
// loops; 0 means one per CPU. Clients that ask for ?topic=NAME get what is
// published by clients of that topic, which is how K topics are measured; the
// others share one. The caller starts and ends it.
func NewServer(loops int, log *slog.Logger) *engine.Server {
	srv := &engine.Server{
		Loops:  loops,
		Logger: log,
		Limits: engine.Limits{MaxMessage: maxMessage, MaxQueued: 4 << 20},
		Origin: handshake.AllowAnyOrigin,
		OnUpgrade: func(ws *engine.WebSocket, req *handshake.Request) {
			m := &member{topic: topicOf(req)}
			ws.SetValue(m)
			_ = ws.Subscribe(m.topic) // it is open
		},
	}
	receive := func(op engine.OpCode) func(*engine.WebSocket, []byte) {
		return func(ws *engine.WebSocket, p []byte) {
			if len(p) > 0 && p[0] == 'B' {
				_, _ = srv.Publish(ws.Value().(*member).topic, op, p) // what it did not reach, the client counts
				return
			}
			echo(ws, op, p)
		}
	}
	srv.Callbacks = engine.Callbacks{
		OnText:   receive(engine.Text),
		OnBinary: receive(engine.Binary),
		OnDrain:  drained,
	}
	return srv
}

func topicOf(req *handshake.Request) string {
	if req.Query() == "" {
		return ""
	}
	values, err := url.ParseQuery(req.Query())
	if err != nil {
		return ""
	}
	return values.Get("topic")
}

// member is a client of a topic.
type member struct {
	topic string // never changes

	// Owned by the loop.
	held []byte // an echo that found the queue full
	op   engine.OpCode
}

// echo sends a message back. A client that does not read is not read from.
func echo(ws *engine.WebSocket, op engine.OpCode, p []byte) {
	if ws.Send(op, p) == engine.ErrBackpressure {
		m := ws.Value().(*member)
		m.held, m.op = slices.Clone(p), op
		ws.PauseReading()
	}
}

// drained goes on where echo paused.
func drained(ws *engine.WebSocket) {
	m := ws.Value().(*member)
	if m.held == nil || ws.Send(m.op, m.held) == engine.ErrBackpressure {
		return
	}
	m.held = nil
	ws.ResumeReading()
}
