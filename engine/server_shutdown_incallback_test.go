package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/loop"
)

// waitsForTheEnd are the methods of a server that wait for its end.
func waitsForTheEnd(srv *engine.Server) map[string]func() error {
	return map[string]func() error{
		"Close":          srv.Close,
		"Shutdown":       func() error { return srv.Shutdown(context.Background()) },
		"ListenAndServe": srv.ListenAndServe,
		"Serve": func() error {
			nl, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return srv.Serve(nl)
		},
	}
}

// G02: what waits for a callback is an error in it, at once, and does nothing.
func TestEndingAServerInItsCallbackIsAnError(t *testing.T) {
	type place func(srv *engine.Server, call func())
	onText := func(srv *engine.Server, call func()) {
		srv.Callbacks.OnText = func(ws *engine.WebSocket, text []byte) { call(); _ = ws.Send(engine.Text, text) }
	}
	for where, set := range map[string]place{
		"OnText": onText,
		"OnText, dispatched": func(srv *engine.Server, call func()) {
			srv.Dispatch = &engine.Dispatch{Workers: 1}
			onText(srv, call)
		},
		"OnUpgrade": func(srv *engine.Server, call func()) {
			srv.OnUpgrade = func(*engine.WebSocket, *engine.Request) { call() }
		},
		"ShouldUpgrade": func(srv *engine.Server, call func()) {
			srv.ShouldUpgrade = func(*engine.Request) (http.Header, error) { call(); return nil, nil }
		},
		"Each": func(srv *engine.Server, call func()) {
			srv.Callbacks.OnText = func(ws *engine.WebSocket, text []byte) {
				text = append([]byte(nil), text...)
				srv.Each(func(*engine.WebSocket) { call(); _ = ws.Send(engine.Text, text) })
			}
		},
		"Logger": func(srv *engine.Server, call func()) {
			srv.Logger = slog.New(endingLog{slog.DiscardHandler, call})
			srv.ShouldUpgrade = func(req *engine.Request) (http.Header, error) {
				if req.Path() != "/chat" {
					panic("oops")
				}
				return nil, nil
			}
		},
		"Logger, dispatched": func(srv *engine.Server, call func()) {
			srv.Dispatch = &engine.Dispatch{Workers: 1}
			srv.Logger = slog.New(endingLog{slog.DiscardHandler, call})
			srv.Callbacks.OnText = func(ws *engine.WebSocket, text []byte) {
				if string(text) == "panic" {
					panic("oops")
				}
				_ = ws.Send(engine.Text, text)
			}
		},
		"after a panic": func(srv *engine.Server, call func()) { // on another goroutine
			srv.OnUpgrade = func(*engine.WebSocket, *engine.Request) { srv.Each(func(*engine.WebSocket) {}) }
			srv.ShouldUpgrade = func(req *engine.Request) (http.Header, error) {
				if req.Path() != "/chat" {
					panic("oops")
				}
				return nil, nil
			}
			onText(srv, call)
		},
	} {
		t.Run(where, func(t *testing.T) {
			srv := &engine.Server{Loops: 2, Callbacks: echo}
			got := make(chan error, 100)
			set(srv, func() {
				for _, wait := range waitsForTheEnd(srv) {
					got <- wait()
				}
			})
			addr := listen(t, srv)
			if where == "Logger, dispatched" {
				openRaw(t, addr).send(testkit.Masked(engine.Text, "panic"))
			}
			if where == "after a panic" || where == "Logger" {
				for range 8 {
					c := dialRaw(t, addr)
					c.send("GET /panic" + testkit.UpgradeHead(addr)[len("GET /chat"):])
					c.wantRefused(http.StatusInternalServerError)
				}
			}
			c := openRaw(t, addr)
			c.exchange("goes on")
			for name := range waitsForTheEnd(srv) {
				if err := within(t, name, got); !errors.Is(err, engine.ErrInCallback) {
					t.Errorf("got %v, want ErrInCallback", err)
				}
			}
		})
	}
}

// G02: on a goroutine of its own it is done.
func TestServerEndsWhenACallbackAsksForItElsewhere(t *testing.T) {
	for where, dispatch := range map[string]*engine.Dispatch{"on the loop": nil, "dispatched": {Workers: 1}} {
		t.Run(where, func(t *testing.T) {
			srv := &engine.Server{Loops: 1, Dispatch: dispatch}
			ended := make(chan error, 1)
			srv.Callbacks.OnText = func(*engine.WebSocket, []byte) { go func() { ended <- srv.Close() }() }
			openRaw(t, listen(t, srv)).send(testkit.Masked(engine.Text, "x"))
			if err := within(t, "the end", ended); err != nil {
				t.Error(err)
			}
			within(t, "Done", srv.Done())
		})
	}
}

// G02: a callback of another server is none that the end waits for.
func TestServerEndsInACallbackThatItDoesNotWaitFor(t *testing.T) {
	srv, other := new(engine.Server), &engine.Server{Dispatch: new(engine.Dispatch)}
	listen(t, srv)
	ended := make(chan error, 1)
	other.Callbacks.OnText = func(*engine.WebSocket, []byte) { ended <- srv.Close() }
	openRaw(t, listen(t, other)).send(testkit.Masked(engine.Text, "x"))
	if err := within(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

// G02: Dial waits for its loop. DialReconnecting waits for nothing.
func TestDialInACallbackOfItsLoopIsAnError(t *testing.T) {
	g, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop(context.Background()) })
	for name, group := range map[string]*loop.Group{"shared loop": nil, "Group": g} {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, &engine.Server{Callbacks: echo})
			opt := &engine.DialOptions{Group: group}
			errs, opened := make(chan error, 1), make(chan struct{}, 1)
			again := make(chan *engine.ReconnectingClient, 1)
			ws := dialEngine(t, addr, &engine.DialOptions{Group: group, OnUpgrade: func(*engine.WebSocket) {
				_, err := engine.Dial(context.Background(), "ws://"+addr+"/", opt)
				errs <- err
				r, err := engine.DialReconnecting(context.Background(), "ws://"+addr+"/", opt, engine.ReconnectPolicy{
					OnConnect: func(*engine.WebSocket, int) { opened <- struct{}{} },
				})
				if err != nil {
					t.Error(err)
				}
				again <- r
			}})
			if err := within(t, "Dial", errs); !errors.Is(err, engine.ErrInCallback) {
				t.Errorf("got %v, want ErrInCallback", err)
			}
			within(t, "the connection of DialReconnecting", opened)
			r := within(t, "DialReconnecting", again)
			_ = r.Close(engine.StatusNormalClosure, "")
			within(t, "its end", r.Done())
			if err := ws.SendText("goes on"); err != nil {
				t.Error(err)
			}
		})
	}
}

// G02: what only looks waits for nothing.
func TestLookingAtAServerInItsCallbackDoesNotWait(t *testing.T) {
	for where, dispatch := range map[string]*engine.Dispatch{"on the loop": nil, "dispatched": {Workers: 1}} {
		t.Run(where, func(t *testing.T) {
			srv := &engine.Server{Loops: 2, Dispatch: dispatch}
			srv.Callbacks.OnText = func(ws *engine.WebSocket, text []byte) {
				if srv.Memory().Connections == 0 || srv.Stats().Connections == 0 || srv.Conns() == 0 {
					t.Error("the server sees no connection")
				}
				_ = ws.Send(engine.Text, text)
			}
			openRaw(t, listen(t, srv)).exchange("looked")
		})
	}
}
