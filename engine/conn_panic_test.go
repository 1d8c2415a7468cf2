package engine_test

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// eachEnd runs a test over the ways in which a callback ends that does not return,
// and checks that no goroutine outlives it.
func eachEnd(t *testing.T, test func(t *testing.T, end func())) {
	t.Helper()
	for name, end := range map[string]func(){
		"panic":         func() { panic("oops, a secret") },
		"a nil pointer": func() { var p *int; *p++ },
		"Goexit":        func() { runtime.Goexit() }, // with a frame of this file in its stack
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() {
				eventually(t, "no goroutine is left", func() bool { return goleak.Find(before) == nil })
			})
			test(t, end)
		})
	}
}

// isGoexit says whether the end of eachEnd is runtime.Goexit.
func isGoexit(t *testing.T) bool { return strings.HasSuffix(t.Name(), "/Goexit") }

// wantPanic asserts that err is the *PanicError of an end of eachEnd.
func wantPanic(t *testing.T, err error) {
	t.Helper()
	var p *engine.PanicError
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a *PanicError", err)
	}
	goexit := isGoexit(t)
	if (p.Value == nil) != goexit || strings.Contains(p.Error(), "Goexit") != goexit || strings.Contains(p.Error(), "secret") {
		t.Errorf("%q with the value %v", p, p.Value)
	}
	if !strings.Contains(string(p.Stack), "panic_test.go") {
		t.Errorf("the stack is not that of the callback:\n%s", p.Stack)
	}
}

// endingCallback is a callback that does not return, and what provokes it.
type endingCallback struct {
	set     func(srv *engine.Server, end func())
	provoke func(t *testing.T, srv *engine.Server, c *rawClient, ws *engine.WebSocket)
}

// sending provokes a callback by octets.
func sending(octets string) func(*testing.T, *engine.Server, *rawClient, *engine.WebSocket) {
	return func(_ *testing.T, _ *engine.Server, c *rawClient, _ *engine.WebSocket) { c.send(octets) }
}

// endingCallbacks are the callbacks of an open connection, but for the last ones.
func endingCallbacks() map[string]endingCallback {
	onText := func(srv *engine.Server, end func()) {
		srv.Callbacks.OnText = func(*engine.WebSocket, []byte) { end() }
	}
	return map[string]endingCallback{
		"OnText":              {onText, sending(frame(0x81, "a"))},
		"OnText of fragments": {onText, sending(frame(0x01, "a") + frame(0x80, "b"))},
		"OnBinary": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnBinary = func(*engine.WebSocket, []byte) { end() }
		}, sending(frame(0x82, "a"))},
		"OnFragment": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnFragment = func(*engine.WebSocket, engine.OpCode, []byte, bool) { end() }
		}, sending(frame(0x01, "a"))},
		"OnPing": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnPing = func(*engine.WebSocket, []byte) { end() }
		}, sending(frame(0x89, "a"))},
		"OnPong": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnPong = func(*engine.WebSocket, []byte) { end() }
		}, sending(frame(0x8a, "a"))},
		"while held": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnText = func(ws *engine.WebSocket, _ []byte) { ws.PauseReading(); ws.ResumeReading() }
			srv.Callbacks.OnBinary = func(*engine.WebSocket, []byte) { end() }
		}, sending(frame(0x81, "a") + frame(0x82, "b"))},
		"OnDrain": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnText = func(ws *engine.WebSocket, _ []byte) { _ = ws.SendBinary(pattern(16 << 20)) }
			srv.Callbacks.OnDrain = func(*engine.WebSocket) { end() }
		}, sending(frame(0x81, ""))},
		"OnGap":                {onGap, overtake},
		"OnGap of Unsubscribe": {onGap, overtakeAndLeave},
		"OnUnsubscribe":        {onUnsubscribe, overtake},
		"Do": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnText = func(ws *engine.WebSocket, _ []byte) { _ = ws.Do(end) }
		}, sending(frame(0x81, "a"))},
		"Do of another goroutine": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnText = func(ws *engine.WebSocket, _ []byte) { go func() { _ = ws.Do(end) }() }
		}, sending(frame(0x81, "a"))},
		"Each": {func(srv *engine.Server, end func()) {
			srv.Callbacks.OnText = func(ws *engine.WebSocket, _ []byte) {
				srv.Each(func(other *engine.WebSocket) {
					if other == ws {
						end()
					}
				})
			}
		}, sending(frame(0x81, "a"))},
	}
}

func onGap(srv *engine.Server, end func()) {
	srv.Slow = engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}
	srv.Callbacks.OnGap = func(*engine.WebSocket, string, uint64) { end() }
}

func onUnsubscribe(srv *engine.Server, end func()) {
	srv.Slow = engine.Slow{Policy: engine.SlowUnsubscribe, Limit: 1}
	srv.Callbacks.OnUnsubscribe = func(*engine.WebSocket, string, any) { end() }
}

// overtake publishes more than the loop of ws may be behind.
func overtake(t *testing.T, srv *engine.Server, _ *rawClient, ws *engine.WebSocket) {
	t.Helper()
	defer holdLoop(t, ws)()
	publishTwice(t, srv, ws)
}

func publishTwice(t *testing.T, srv *engine.Server, ws *engine.WebSocket) {
	t.Helper()
	if err := ws.Subscribe("room"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, _ = srv.Publish("room", engine.TextMessage("x"))
	}
}

func overtakeAndLeave(t *testing.T, srv *engine.Server, _ *rawClient, ws *engine.WebSocket) {
	t.Helper()
	defer holdLoop(t, ws)()
	publishTwice(t, srv, ws)
	if err := ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
}

// holdLoop keeps the loop of ws from doing anything until release is called.
func holdLoop(t *testing.T, ws *engine.WebSocket) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	if err := ws.Do(func() { close(held); <-free }); err != nil {
		t.Fatal(err)
	}
	within(t, "the loop", held)
	return func() { close(free) }
}

// R17, G01: a callback that does not return ends its connection with 1011, on a
// loop and on the pool of Dispatch, and nothing else.
func TestCallbackThatDoesNotReturnClosesItsConnectionWith1011(t *testing.T) {
	for name, c := range endingCallbacks() {
		for where, dispatch := range map[string]*engine.Dispatch{"on the loop": nil, "dispatched": {Workers: 1}} {
			t.Run(name+" "+where, func(t *testing.T) {
				eachEnd(t, func(t *testing.T, end func()) { testEndingCallback(t, c, dispatch, end) })
			})
		}
	}
}

func testEndingCallback(t *testing.T, ec endingCallback, dispatch *engine.Dispatch, end func()) {
	log, book := newLog()
	cb, ended := record(engine.Callbacks{})
	failures, opened := make(chan error, 4), make(chan *engine.WebSocket, 2)
	cb.OnError = func(_ *engine.WebSocket, err error) { failures <- err }
	srv := &engine.Server{Loops: 1, Logger: log, Callbacks: cb, Dispatch: dispatch, OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
		gentle(ws, req)
		opened <- ws
	}}
	ec.set(srv, end)
	addr := listen(t, srv)
	other := openRaw(t, addr, "X-Gentle: 1")
	within(t, "OnUpgrade", opened)

	victim := openRaw(t, addr)
	ec.provoke(t, srv, victim, within(t, "OnUpgrade", opened))
	if dispatch == nil {
		_, _ = victim.Write([]byte(frame(0x89, "not looked at any more"))) // it may be gone
	}
	if reason := victim.wantClose(engine.StatusInternalError); strings.Contains(reason, "secret") {
		t.Errorf("the peer is told %q", reason)
	}
	_ = victim.Close()
	got := within(t, "OnClose", ended)
	if got.code != engine.StatusInternalError {
		t.Fatalf("ended with %+v, want 1011", got)
	}
	wantPanic(t, got.err)
	if err := within(t, "OnError", failures); err != got.err || len(failures) != 0 {
		t.Errorf("OnError was told %v and %d more, want %v once", err, len(failures), got.err)
	}
	if n, lines := srv.Stats().Panics, book.count("engine: a callback"); n != 1 || lines != 1 {
		t.Errorf("counted %d times, logged %d times, want once", n, lines)
	}
	other.send(frame(0x81, "unmoved"))
	other.wantMessage(engine.Text, "unmoved")
	if n := srv.Conns(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// G01: connections that are dropped for all together lose nobody else.
func TestOverloadWhoseOnErrorDoesNotReturn(t *testing.T) {
	const kb = 1000
	eachEnd(t, func(t *testing.T, end func()) {
		ended := make(chan error, 10)
		srv := &engine.Server{
			Loops:  1,
			Limits: engine.Limits{MaxQueued: 5000 * kb, MaxMemory: 5000 * kb},
			Callbacks: engine.Callbacks{
				OnError: func(*engine.WebSocket, error) { end() },
				OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) { ended <- ws.Err() },
			},
		}
		sockets := holders(t, srv, 2000*kb, 1900*kb, 100*kb)
		send := func() error { return sockets[2].SendBinary(pattern(30 * kb)) }
		for srv.Stats().Panics == 0 {
			if err := send(); err != nil && !errors.Is(err, engine.ErrBackpressure) {
				t.Fatal(err)
			}
		}
		if err := within(t, "OnClose", ended); !errors.Is(err, engine.ErrOverload) {
			t.Errorf("ended with %v, want ErrOverload", err)
		}
		eventually(t, "sends go on", func() bool { return send() == nil })
		if n, panics := srv.Conns(), srv.Stats().Panics; n != 2 || panics != 1 {
			t.Errorf("%d connections are left, %d panics, want 2 and 1", n, panics)
		}
	})
}

// gentle gives the connections that ask for it callbacks that return.
func gentle(ws *engine.WebSocket, req *engine.Request) {
	if req.Header("X-Gentle") != "" {
		ws.OnFragment(nil)
		ws.OnText(func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) })
		ws.OnClose(nil)
		ws.OnError(nil)
	}
}

// entranceFunc starts a server and returns its address.
type entranceFunc func(t *testing.T, srv *engine.Server) string

// eachEntrance runs a test with requests that a loop reads, and such that net/http
// does.
func eachEntrance(t *testing.T, test func(t *testing.T, serve entranceFunc)) {
	t.Helper()
	for name, serve := range map[string]entranceFunc{
		"listener": func(t *testing.T, srv *engine.Server) string { return listen(t, srv) },
		"net http": func(t *testing.T, srv *engine.Server) string { return mountWith(t, srv, nil) },
	} {
		t.Run(name, func(t *testing.T) { test(t, serve) })
	}
}

// R17, G01: also OnUpgrade, wherever the request came from.
func TestOnUpgradeThatDoesNotReturnIs1011(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		eachEnd(t, func(t *testing.T, end func()) {
			cb, ended := record(engine.Callbacks{})
			srv := &engine.Server{Callbacks: cb, OnUpgrade: func(*engine.WebSocket, *engine.Request) { end() }}
			c := openRaw(t, serve(t, srv))
			c.wantClose(engine.StatusInternalError)
			_ = c.Close()
			got := within(t, "OnClose", ended)
			if got.code != engine.StatusInternalError {
				t.Errorf("ended with %+v", got)
			}
			wantPanic(t, got.err)
			if n := srv.Stats().Panics; n != 1 {
				t.Errorf("counted %d times, want once", n)
			}
		})
	})
}

// R17, G01: nobody can be told any more, but the end goes on to its end.
func TestOnErrorAndOnCloseThatDoNotReturn(t *testing.T) {
	ends := map[string]string{"broken rule": frame(0x83, ""), "closing handshake": frame(0x88, ""), "vanishing": ""}
	for where, dispatch := range map[string]*engine.Dispatch{"on the loop": nil, "dispatched": {Workers: 1}} {
		t.Run(where, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, end func()) {
				order, opened := make(chan string, 8), make(chan *engine.WebSocket, 2)
				srv := &engine.Server{
					Loops:     1,
					Dispatch:  dispatch,
					OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
					Callbacks: engine.Callbacks{
						OnText:  func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
						OnError: func(*engine.WebSocket, error) { order <- "OnError"; end() },
						OnClose: func(*engine.WebSocket, engine.StatusCode, string) { order <- "OnClose"; end() },
					},
				}
				addr := listen(t, srv)
				for name, octets := range ends {
					before := srv.Stats().Panics
					c := openRaw(t, addr)
					ws := within(t, "OnUpgrade", opened)
					if c.send(octets); octets != "" {
						c.readClose()
					}
					_ = c.Close()
					within(t, "Done", ws.Done())
					want := []string{"OnError", "OnClose"}
					if name == "closing handshake" {
						want = want[1:]
					}
					for _, w := range want {
						if got := within(t, w, order); got != w {
							t.Errorf("%s: %s was called, want %s", name, got, w)
						}
					}
					eventually(t, name+": each is counted", func() bool { return srv.Stats().Panics == before+uint64(len(want)) })
					if len(order) > 0 {
						t.Errorf("%s: %s was called after OnClose", name, <-order)
					}
				}
				eventually(t, "all connections to be counted as ended", func() bool { return srv.Conns() == 0 })
				c := openRaw(t, addr)
				c.send(frame(0x81, "the loop lives"))
				c.wantMessage(engine.Text, "the loop lives")
			})
		})
	}
}

// R17, G01: a request is refused with 500, by whom it is ever decided on.
func TestDecisionOnARequestThatDoesNotReturnIs500(t *testing.T) {
	for name, set := range map[string]func(srv *engine.Server, end func(req *handshake.Request)){
		"ShouldUpgrade": func(srv *engine.Server, end func(*handshake.Request)) {
			srv.ShouldUpgrade = func(req *engine.Request) (http.Header, error) { end(req.Request); return nil, nil }
		},
		"BlockingUpgrade": func(srv *engine.Server, end func(*handshake.Request)) {
			srv.BlockingUpgrade = true
			srv.ShouldUpgrade = func(req *engine.Request) (http.Header, error) { end(req.Request); return nil, nil }
		},
		"Origin": func(srv *engine.Server, end func(*handshake.Request)) {
			srv.Origin = func(req *handshake.Request) bool { end(req); return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachEntrance(t, func(t *testing.T, serve entranceFunc) {
				eachEnd(t, func(t *testing.T, end func()) {
					log, book := newLog()
					srv := &engine.Server{Loops: 1, Logger: log, Callbacks: echo}
					set(srv, func(req *handshake.Request) {
						if req.Header("X-End") != "" {
							end()
						}
					})
					addr := serve(t, srv)
					other := openRaw(t, addr)
					c := dialRaw(t, addr)
					c.send(testkit.UpgradeHead(addr, "X-End: 1"))
					status, body := c.readStatus()
					if status != http.StatusInternalServerError || strings.Contains(body, "secret") {
						t.Errorf("the peer is told %d %q", status, body)
					}
					if n, lines := srv.Stats().Panics, book.count("refused with 500"); n != 1 || lines != 1 {
						t.Errorf("counted %d times, logged %d times, want once", n, lines)
					}
					other.exchange("unmoved")
					openRaw(t, addr).exchange("the next one")
				})
			})
		})
	}
}

// readStatus reads an HTTP answer that may be cut off.
func (c *rawClient) readStatus() (status int, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal("reading the HTTP answer:", err)
	}
	b := make([]byte, 1<<10)
	n, _ := resp.Body.Read(b)
	return resp.StatusCode, string(b[:n])
}

// R-j: a line a second, however often a callback fails.
func TestPanicsOfCallbacksAreLoggedOnceASecond(t *testing.T) {
	for where, dispatch := range map[string]*engine.Dispatch{"on the loop": nil, "dispatched": {}} {
		t.Run(where, func(t *testing.T) {
			const panics = 300
			log, book := newLog()
			addr := listen(t, &engine.Server{Loops: 2, Logger: log, Dispatch: dispatch, Callbacks: engine.Callbacks{
				OnText: func(*engine.WebSocket, []byte) { panic("again") },
			}})
			began := time.Now()
			for range panics {
				c := openRaw(t, addr)
				c.send(testkit.Masked(engine.Text, "x"))
				c.wantClose(engine.StatusInternalError)
				_ = c.Close()
			}
			lines, most := book.count("a callback panicked"), 1+int(time.Since(began)/time.Second)
			if lines == 0 || lines > most {
				t.Errorf("%d lines for %d panics, want at most %d", lines, panics, most)
			}
		})
	}
}
