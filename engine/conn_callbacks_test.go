package engine_test

import (
	"context"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// calls is what functions of the engine are called that call what belongs to the
// program.
var calls = regexp.MustCompile(`/engine\.(.*\.)?call[A-Z]\w*\(`)

// callerOf returns the function of the engine that called what runs now.
func callerOf(stack string) string {
	for line := range strings.Lines(stack) {
		if strings.Contains(line, "/engine.") && !strings.HasPrefix(line, "\t") {
			return line
		}
	}
	return "nobody"
}

// R-i: the callback that blocks its loop is found by the name of what called it.
func TestCallbacksAreCalledByFunctionsThatSaySo(t *testing.T) {
	all := endingCallbacks()
	quiet := func(*testing.T, *engine.Server, *rawClient, *engine.WebSocket) {}
	all["OnUpgrade"] = endingCallback{func(srv *engine.Server, end func()) {
		onUpgrade := srv.OnUpgrade
		srv.OnUpgrade = func(ws *engine.WebSocket, req *engine.Request) { end(); onUpgrade(ws, req) }
	}, quiet}
	all["ShouldUpgrade"] = endingCallback{func(srv *engine.Server, end func()) {
		srv.ShouldUpgrade = func(*engine.Request) (http.Header, error) { end(); return nil, nil }
	}, quiet}
	all["Origin"] = endingCallback{func(srv *engine.Server, end func()) {
		srv.Origin = func(*handshake.Request) bool { end(); return true }
	}, quiet}
	all["OnError"] = endingCallback{func(srv *engine.Server, end func()) {
		srv.Callbacks.OnError = func(*engine.WebSocket, error) { end() }
	}, sending(frame(0x83, ""))}
	all["OnClose"] = endingCallback{func(srv *engine.Server, end func()) {
		srv.Callbacks.OnClose = func(*engine.WebSocket, engine.StatusCode, string) { end() }
	}, func(_ *testing.T, _ *engine.Server, c *rawClient, _ *engine.WebSocket) { _ = c.Close() }}
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			callers, opened := make(chan string, 100), make(chan *engine.WebSocket, 1)
			srv := &engine.Server{Loops: 1, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
			c.set(srv, func() { callers <- callerOf(string(debug.Stack())) })
			client := openRaw(t, listen(t, srv))
			ws := within(t, "OnUpgrade", opened)
			c.provoke(t, srv, client, ws)
			go func() { _, _ = client.br.Discard(32 << 20) }() // what fills its queue
			if caller := within(t, name, callers); !calls.MatchString(caller) {
				t.Errorf("called by %s", caller)
			}
		})
	}
}

func TestCallbacksOfDialAreCalledByFunctionsThatSaySo(t *testing.T) {
	callers := make(chan string, 10)
	note := func() { callers <- callerOf(string(debug.Stack())) }
	addr := listen(t, new(engine.Server))
	r, err := engine.DialReconnecting(context.Background(), "ws://"+addr+"/", &engine.DialOptions{
		OnResponse: func(*handshake.Response) { note() },
		OnUpgrade:  func(*engine.WebSocket) { note() },
	}, engine.ReconnectPolicy{OnConnect: func(*engine.WebSocket, int) { note() }})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if caller := within(t, "a callback", callers); !calls.MatchString(caller) {
			t.Errorf("called by %s", caller)
		}
	}
	_ = r.Close(engine.StatusNormalClosure, "")
	within(t, "the end", r.Done())
}
