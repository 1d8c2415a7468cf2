package bench

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"slices"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// maxMessage is the largest message of the bench protocol, in bytes.
const maxMessage = 64 << 20

// Options are what a server of the bench protocol is to do. The zero value
// speaks ws without compression.
type Options struct {
	Loops       int              // event loops; 0: as many as GOMAXPROCS
	Log         *slog.Logger     // default: slog.Default()
	TLS         bool             // wss, with a certificate of its own making
	Compression load.Compression // what clients may agree to; default: load.Off
}

// NewServer returns a server of the bench protocol with fanloop. Clients that ask
// for ?topic=NAME get what is published by clients of that topic, which is how K
// topics are measured; the others share one. The caller starts and ends it. The
// error is a *load.ConfigError, or about the certificate.
func NewServer(o Options) (*engine.Server, error) {
	agreed, err := compression(o.Compression)
	if err != nil {
		return nil, err
	}
	srv := &engine.Server{
		Loops:       o.Loops,
		Logger:      o.Log,
		Limits:      engine.Limits{MaxMessage: maxMessage, MaxQueued: 4 << 20},
		Compression: agreed,
		Origin:      handshake.AllowAnyOrigin,
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			topic := topicOf(req)
			if topic != Everybody {
				engine.Set(ws, &member{topic: topic})
			}
			_ = ws.Subscribe(topic) // it is open
		},
	}
	receive := func(op engine.OpCode) func(*engine.WebSocket, []byte) {
		return func(ws *engine.WebSocket, p []byte) {
			if len(p) > 0 && p[0] == 'B' {
				_, _ = srv.Publish(engine.Get[*member](ws).of(), engine.Message{Op: op, Data: p}) // what it did not reach, the client counts
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
	if o.TLS {
		certificate, err := SelfSigned("localhost", "127.0.0.1", "::1")
		if err != nil {
			return nil, err
		}
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
	}
	return srv, nil
}

// compression is what the engine is asked for. Takeover has no budget: what it
// takes is what is measured.
func compression(kind load.Compression) (*engine.Compression, error) {
	switch kind {
	case "", load.Off:
		return nil, nil
	case load.Deflate:
		return &engine.Compression{}, nil
	case load.Takeover:
		return &engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true, Memory: -1}, nil
	}
	return nil, &load.ConfigError{Reason: fmt.Sprintf("unknown compression %q: want off, deflate or takeover", kind)}
}

func topicOf(req *engine.Request) string {
	if req.Query() == "" {
		return Everybody
	}
	values, err := url.ParseQuery(req.Query())
	if err != nil || values.Get("topic") == "" {
		return Everybody
	}
	return values.Get("topic")
}

// Everybody is the topic of clients that ask for none.
const Everybody = "everybody"

// member is a client of a topic. Clients that ask for none and read what is sent to them have
// none: nil.
type member struct {
	topic string // never changes

	// Owned by the loop.
	held []byte // an echo that found the queue full
	op   engine.OpCode
}

// of returns the topic of m.
func (m *member) of() string {
	if m == nil {
		return Everybody
	}
	return m.topic
}

// echo sends a message back. A client that does not read is not read from.
func echo(ws *engine.WebSocket, op engine.OpCode, p []byte) {
	if ws.Send(op, p) == engine.ErrBackpressure {
		m := engine.Get[*member](ws)
		if m == nil {
			m = &member{topic: Everybody}
			engine.Set(ws, m)
		}
		m.held, m.op = slices.Clone(p), op
		ws.PauseReading()
	}
}

// drained goes on where echo paused.
func drained(ws *engine.WebSocket) {
	m := engine.Get[*member](ws)
	if m == nil || m.held == nil || ws.Send(m.op, m.held) == engine.ErrBackpressure {
		return
	}
	m.held = nil
	ws.ResumeReading()
}
