package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// The interoperability tests let engine.Server and engine.Dial speak with other
// implementations. Servers of both kinds do the same, by path:
//
//	/echo       sends every message back
//	/fragments  sends every message back in three frames
//	/ping       pings with every message, and answers the pong with "pong " and its payload
//	/bye        closes with 4001 "bye" at once
//	/drop       ends TCP at once, without a close frame
//
// They speak the subprotocol chat.v1, take messages of 16 MiB, and tell how
// each connection ended.

// closeReport is a close frame that arrived: 1005 without a code, 1006 if none came.
type closeReport struct {
	Path   string `json:"path"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

const (
	largest       = 16 << 20
	subprotocol   = "chat.v1"
	byeCode       = 4001
	byeReason     = "bye – до свидания"
	leaveCode     = 3000
	leaveReason   = "done – 完了"
	unicodeText   = "Grüße, Κόσμε, 世界, 🏝"
	pingedPayload = "are you there?"
)

// lengthBorders are the sizes at which a frame header changes its form.
var lengthBorders = []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20}

// interopServer starts the engine's side of the contract. agreed says whether its
// clients agree on compression. id is who it is, nil for no TLS. ends has room
// for every connection of a test.
func interopServer(t *testing.T, compression *engine.Compression, agreed bool, id *testkit.Identity) (addr string, ends chan closeReport) {
	ends = make(chan closeReport, 256)
	srv := &engine.Server{
		HTTP:         pages,
		Subprotocols: []string{subprotocol},
		Compression:  compression,
		Limits:       engine.Limits{MaxMessage: largest, CloseTimeout: patience},
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			if got := ws.Extensions(); (got != "") != agreed {
				t.Errorf("the client agreed to %q", got)
			}
			path := req.Path()
			ws.OnClose(func(_ *engine.WebSocket, code engine.StatusCode, reason string) {
				ends <- closeReport{path, int(code), reason}
			})
			serveContract(ws, path)
		},
	}
	if id != nil {
		return listenTLS(t, srv, id), ends
	}
	return listen(t, srv), ends
}

func serveContract(ws *engine.WebSocket, path string) {
	answer := func(op engine.OpCode) func(*engine.WebSocket, []byte) {
		return func(ws *engine.WebSocket, p []byte) { _ = ws.Send(op, p) }
	}
	switch path {
	case "/fragments":
		answer = func(op engine.OpCode) func(*engine.WebSocket, []byte) {
			return func(ws *engine.WebSocket, p []byte) { _ = sendThirds(ws, op, p) }
		}
	case "/ping":
		answer = func(engine.OpCode) func(*engine.WebSocket, []byte) {
			return func(ws *engine.WebSocket, p []byte) { _ = ws.Ping(p) }
		}
		ws.OnPong(func(ws *engine.WebSocket, p []byte) { _ = ws.SendText("pong " + string(p)) })
	case "/bye":
		_ = ws.Close(byeCode, byeReason)
	case "/drop":
		ws.CloseNow()
	}
	ws.OnText(answer(engine.Text))
	ws.OnBinary(answer(engine.Binary))
}

// thirds cuts p in three; the last piece is empty if p is short.
func thirds(p []byte) [3][]byte {
	n := (len(p) + 2) / 3
	a, b := min(n, len(p)), min(2*n, len(p))
	return [3][]byte{p[:a], p[a:b], p[b:]}
}

func sendThirds(ws *engine.WebSocket, op engine.OpCode, p []byte) error {
	pieces := thirds(p)
	return errors.Join(ws.SendFragment(op, pieces[0], false), ws.SendFragment(op, pieces[1], false),
		ws.SendFragment(op, pieces[2], true))
}

// message is one that arrived.
type message struct {
	op      engine.OpCode
	payload string
}

func (m message) String() string {
	return fmt.Sprintf("%v of %d octets %.60q", m.op, len(m.payload), m.payload)
}

// contractMessages are what has to come back from /echo and /fragments.
func contractMessages() []message {
	messages := []message{{engine.Text, unicodeText}}
	for _, n := range lengthBorders {
		messages = append(messages,
			message{engine.Text, strings.Repeat("*", n)},
			message{engine.Binary, string(bytes.Repeat([]byte{0, 0xff, 0x80, 0xfe}, n/4+1)[:n])})
	}
	return messages
}

// foreignServer is a server of another implementation that keeps the contract.
type foreignServer struct {
	addr        string
	ends        <-chan closeReport
	compression *engine.Compression // to offer
	agreed      bool                // whether it agrees
	id          *testkit.Identity   // who it has to be; nil: no TLS
}

// dialed is an engine.WebSocket and what it received.
type dialed struct {
	*engine.WebSocket
	messages chan message
	pongs    chan string
	closed   chan closeReport
}

func (s *foreignServer) dial(t *testing.T, path string) *dialed {
	t.Helper()
	d := &dialed{messages: make(chan message, 256), pongs: make(chan string, 16), closed: make(chan closeReport, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	url, config := "ws://"+s.addr+path, (*tls.Config)(nil)
	if s.id != nil {
		url, config = "wss://"+s.addr+path, s.id.Client()
	}
	ws, err := engine.Dial(ctx, url, &engine.DialOptions{
		TLS:          config,
		Subprotocols: []string{"chat.v9", subprotocol},
		Compression:  s.compression,
		Limits:       engine.Limits{MaxMessage: largest, CloseTimeout: patience},
		Callbacks: engine.Callbacks{
			OnText:   func(_ *engine.WebSocket, p []byte) { d.messages <- message{engine.Text, string(p)} },
			OnBinary: func(_ *engine.WebSocket, p []byte) { d.messages <- message{engine.Binary, string(p)} },
			OnPong:   func(_ *engine.WebSocket, p []byte) { d.pongs <- string(p) },
			OnClose: func(_ *engine.WebSocket, code engine.StatusCode, reason string) {
				d.closed <- closeReport{path, int(code), reason}
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.WebSocket = ws
	if got := ws.Extensions(); (got != "") != s.agreed {
		t.Errorf("the server agreed to %q", got)
	}
	t.Cleanup(func() {
		ws.CloseNow()
		within(t, "the end of a dialed connection", ws.Done())
	})
	return d
}

// leave closes in order and compares what both sides were told. 1005 means a
// close frame without a code.
func (d *dialed) leave(t *testing.T, s *foreignServer, path string, code int, reason string) {
	t.Helper()
	if err := d.Close(engine.StatusCode(code), reason); err != nil {
		t.Fatal(err)
	}
	want := closeReport{path, code, reason}
	if got := within(t, "the server's report of the end", s.ends); got != want {
		t.Errorf("the server was told %+v, want %+v", got, want)
	}
	// The answer echoes the code; whether with the reason is the server's choice.
	if got := within(t, "OnClose", d.closed); got.Code != code {
		t.Errorf("OnClose was told %+v, want the code %d", got, code)
	}
	if err := d.Err(); err != nil {
		t.Errorf("Err after a closing handshake: %v", err)
	}
}

// testDial proves engine.Dial against a server of another implementation.
func testDial(t *testing.T, s *foreignServer) {
	for _, path := range []string{"/echo", "/fragments"} {
		t.Run("messages of every length form come back from "+path, func(t *testing.T) {
			d := s.dial(t, path)
			for _, m := range contractMessages() {
				d.exchange(t, m, d.Send(m.op, []byte(m.payload)))
			}
			d.leave(t, s, path, leaveCode, leaveReason)
		})
	}
	t.Run("messages sent in fragments arrive whole", func(t *testing.T) {
		d := s.dial(t, "/echo")
		for _, m := range contractMessages() {
			d.exchange(t, m, sendThirds(d.WebSocket, m.op, []byte(m.payload)))
		}
		d.leave(t, s, "/echo", 1000, "")
	})
	t.Run("a ping is answered with its payload", func(t *testing.T) {
		d := s.dial(t, "/echo")
		if err := d.Ping([]byte(pingedPayload)); err != nil {
			t.Fatal(err)
		}
		if got := within(t, "the pong", d.pongs); got != pingedPayload {
			t.Errorf("the pong has %q, want %q", got, pingedPayload)
		}
		d.leave(t, s, "/echo", 1001, "")
	})
	t.Run("the server's ping is answered with its payload", func(t *testing.T) {
		d := s.dial(t, "/ping")
		want := message{engine.Text, "pong " + pingedPayload}
		if err := d.SendText(pingedPayload); err != nil {
			t.Fatal(err)
		}
		if got := within(t, "the server's report of the pong", d.messages); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		d.leave(t, s, "/ping", 4999, "")
	})
	t.Run("16 MiB", func(t *testing.T) {
		d := s.dial(t, "/echo")
		m := message{engine.Binary, string(pattern(largest))}
		d.exchange(t, m, d.Send(m.op, []byte(m.payload)))
		d.leave(t, s, "/echo", 1000, "")
	})
	t.Run("the subprotocol is agreed", func(t *testing.T) {
		d := s.dial(t, "/echo")
		if got := d.Subprotocol(); got != subprotocol {
			t.Errorf("subprotocol %q, want %q", got, subprotocol)
		}
		d.leave(t, s, "/echo", 1005, "")
	})
	t.Run("the server closes", func(t *testing.T) {
		d := s.dial(t, "/bye")
		want := closeReport{"/bye", byeCode, byeReason}
		if got := within(t, "OnClose", d.closed); got != want {
			t.Errorf("OnClose was told %+v, want %+v", got, want)
		}
		if got := within(t, "the server's report of the end", s.ends); got.Code != byeCode {
			t.Errorf("the server was told %+v, want the code %d", got, byeCode)
		}
	})
	t.Run("the server drops the connection", func(t *testing.T) {
		d := s.dial(t, "/drop")
		if got := within(t, "OnClose", d.closed); got.Code != 1006 {
			t.Errorf("OnClose was told %+v, want 1006", got)
		}
		if err := d.Err(); !errors.Is(err, engine.ErrAbnormalClosure) {
			t.Errorf("Err is %v, want ErrAbnormalClosure", err)
		}
	})
	t.Run("many connections keep the order of their messages", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 20 {
			d := s.dial(t, "/echo")
			all.Go(func() { d.count(t, i) })
		}
		all.Wait()
		for range 20 {
			if got := within(t, "the server's report of the end", s.ends); got.Code != leaveCode {
				t.Errorf("the server was told %+v, want the code %d", got, leaveCode)
			}
		}
	})
}

// exchange wants back what was sent with the result err.
func (d *dialed) exchange(t *testing.T, m message, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("sending %v: %v", m, err)
	}
	if got := within(t, "the echo of "+m.String(), d.messages); got != m {
		t.Fatalf("got %v, want %v", got, m)
	}
}

// count sends fifty messages without waiting, wants them back in order, and
// closes.
func (d *dialed) count(t *testing.T, id int) {
	for n := range 50 {
		if err := d.SendText(fmt.Sprintf("%d of %d", n, id)); err != nil {
			t.Error(err)
			return
		}
	}
	for n := range 50 {
		want := fmt.Sprintf("%d of %d", n, id)
		select {
		case got := <-d.messages:
			if got.payload != want {
				t.Errorf("got %v, want %q", got, want)
				return
			}
		case end := <-d.closed:
			t.Errorf("closed before %q: %+v", want, end)
			return
		}
	}
	if err := d.Close(leaveCode, leaveReason); err != nil {
		t.Error(err)
	}
}
