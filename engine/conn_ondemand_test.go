package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// Context is cancelled before OnClose, with what ended the connection, whenever it
// was asked for first.
func TestContextEndsWithItsConnection(t *testing.T) {
	for name, asked := range map[string]string{"early": "open", "in OnError": "OnError", "in OnClose": "OnClose", "late": "done"} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan *engine.WebSocket, 1)
			ask := func(ws *engine.WebSocket, when string) {
				if when == asked {
					_ = ws.Context()
				}
			}
			inClose := make(chan error, 1)
			cb := engine.Callbacks{
				OnError: func(ws *engine.WebSocket, _ error) { ask(ws, "OnError") },
				OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
					ask(ws, "OnClose")
					inClose <- context.Cause(ws.Context())
				},
			}
			c := openRaw(t, listen(t, &engine.Server{Callbacks: cb, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
				ask(ws, "open")
				opened <- ws
			}}))
			ws := within(t, "OnUpgrade", opened)
			if asked == "open" && ws.Context().Err() != nil {
				t.Errorf("the context of an open connection: %v", context.Cause(ws.Context()))
			}
			c.send(frame(0x83, ""))
			_, _ = c.readClose()
			_ = c.Close() // or OnClose waits for Limits.CloseTimeout
			var broken *engine.ProtocolError
			if err := within(t, "OnClose", inClose); !errors.As(err, &broken) {
				t.Errorf("in OnClose its cause is %v", err)
			}
			within(t, "the end", ws.Done())
			ctx := ws.Context()
			if !errors.Is(ctx.Err(), context.Canceled) || context.Cause(ctx) != ws.Err() || ws.Context() != ctx {
				t.Errorf("after the end: %v, %v, want %v", ctx.Err(), context.Cause(ctx), ws.Err())
			}
		})
	}
}

func TestContextOfACloseHasItsCode(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	c := openRaw(t, listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}))
	ctx := within(t, "OnUpgrade", opened).Context()
	c.send(frame(0x88, closePayload(4001, "enough")))
	c.wantClose(4001)
	_ = c.Close() // or the end waits for Limits.CloseTimeout
	within(t, "the end of the context", ctx.Done())
	var closed *engine.CloseError
	if err := context.Cause(ctx); !errors.As(err, &closed) || *closed != (engine.CloseError{Code: 4001, Reason: "enough"}) {
		t.Errorf("its cause is %v", err)
	}
}

// A callback on a worker that waits for the end of its connection gets it, though
// OnClose comes after the callback.
func TestContextEndsWhatAWorkerWaitsFor(t *testing.T) {
	waits, closed := make(chan struct{}), make(chan struct{})
	srv := &engine.Server{Dispatch: new(engine.Dispatch), Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, _ []byte) {
			close(waits)
			<-ws.Context().Done()
		},
		OnClose: func(*engine.WebSocket, engine.StatusCode, string) { close(closed) },
	}}
	c := openRaw(t, listen(t, srv))
	c.send(frame(0x81, "work"))
	within(t, "OnText", waits)
	_ = c.Close()
	within(t, "OnClose", closed)
}

type (
	user  struct{ name string }
	quota int
	named interface{ called() string }
)

func (u *user) called() string { return u.name }

// Values are kept by type: each type has one, and nothing else touches it.
func TestValuesAreKeptByType(t *testing.T) {
	_, ws := openPair(t)
	if u, n := engine.Get[*user](ws), engine.Get[quota](ws); u != nil || n != 0 {
		t.Fatalf("a fresh connection has %v and %v", u, n)
	}
	want := func(u *user, n quota, s string) {
		t.Helper()
		if gu, gn, gs := engine.Get[*user](ws), engine.Get[quota](ws), engine.Get[string](ws); gu != u || gn != n || gs != s {
			t.Errorf("got %v, %v, %q, want %v, %v, %q", gu, gn, gs, u, n, s)
		}
	}
	ann, bob := &user{"ann"}, &user{"bob"}
	engine.Set(ws, ann)
	want(ann, 0, "")
	engine.Set(ws, bob)
	want(bob, 0, "")
	engine.Set(ws, quota(5))
	engine.Set[any](ws, "text") // counts by what it is
	want(bob, 5, "text")
	engine.Set(ws, quota(6))
	engine.Set[any](ws, nil) // nothing
	engine.Set(ws, ann)
	want(ann, 6, "text")
	if n := engine.Get[named](ws); n == nil || n.called() != "ann" {
		t.Errorf("the value with a name is %v", n)
	}
	if i := engine.Get[int](ws); i != 0 {
		t.Errorf("a quota is an int: %v", i)
	}
	engine.Set[*user](ws, nil)
	want(nil, 6, "text")
}

// openPair opens a connection and returns both ends of it.
func openPair(t *testing.T) (*rawClient, *engine.WebSocket) {
	t.Helper()
	opened := make(chan *engine.WebSocket, 1)
	c := openRaw(t, listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}))
	return c, within(t, "OnUpgrade", opened)
}

func TestIDIsUniqueAndStays(t *testing.T) {
	_, one := openPair(t)
	_, two := openPair(t)
	id := one.ID()
	if id == 0 || id == two.ID() || id != one.ID() {
		t.Errorf("the ids are %d, %d and then %d", id, two.ID(), one.ID())
	}
}

func TestServerOfAConnection(t *testing.T) {
	of := make(chan *engine.Server, 1)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { of <- ws.Server() }}
	ws, err := engine.Dial(t.Context(), "ws://"+listen(t, srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if got := within(t, "OnUpgrade", of); got != srv || ws.Server() != nil {
		t.Errorf("the servers are %p, want %p, and %p, want none", got, srv, ws.Server())
	}
}

// OnMessage gets what has no callback of its own.
func TestOnMessageGetsBothKinds(t *testing.T) {
	echo := func(ws *engine.WebSocket, op engine.OpCode, data []byte) { _ = ws.Send(op, data) }
	answer := func(s string) func(*engine.WebSocket, []byte) {
		return func(ws *engine.WebSocket, _ []byte) { _ = ws.SendText(s) }
	}
	for name, tt := range map[string]struct {
		cb      engine.Callbacks
		upgrade func(ws *engine.WebSocket)
		answers [2]string // to a text and to a binary message
	}{
		"alone":         {cb: engine.Callbacks{OnMessage: echo}, answers: [2]string{"hi", "ho"}},
		"on ws":         {upgrade: func(ws *engine.WebSocket) { ws.OnMessage(echo) }, answers: [2]string{"hi", "ho"}},
		"with OnText":   {cb: engine.Callbacks{OnMessage: echo, OnText: answer("T")}, answers: [2]string{"T", "ho"}},
		"with OnBinary": {cb: engine.Callbacks{OnMessage: echo, OnBinary: answer("B")}, answers: [2]string{"hi", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := openRaw(t, listen(t, &engine.Server{Callbacks: tt.cb, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
				if tt.upgrade != nil {
					tt.upgrade(ws)
				}
			}}))
			c.send(frame(0x81, "hi") + frame(0x82, "ho"))
			for i, op := range []engine.OpCode{codec.Text, codec.Binary} {
				want := tt.answers[i]
				if want == "B" {
					op = codec.Text
				}
				c.wantMessage(op, want)
			}
		})
	}
}
