package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// panicCase makes one callback panic.
type panicCase struct {
	name   string
	set    func(cb *engine.Callbacks)
	octets string // that provoke it
}

func panicCases() []panicCase {
	oops := func() { panic("oops, a secret") }
	return []panicCase{
		{"OnText", func(cb *engine.Callbacks) { cb.OnText = func(*engine.WebSocket, []byte) { oops() } }, frame(0x81, "a")},
		{"OnText of fragments", func(cb *engine.Callbacks) { cb.OnText = func(*engine.WebSocket, []byte) { oops() } }, frame(0x01, "a") + frame(0x80, "b")},
		{"OnBinary", func(cb *engine.Callbacks) { cb.OnBinary = func(*engine.WebSocket, []byte) { oops() } }, frame(0x82, "a")},
		{"OnFragment", func(cb *engine.Callbacks) {
			cb.OnFragment = func(*engine.WebSocket, engine.OpCode, []byte, bool) { oops() }
		}, frame(0x01, "a")},
		{"OnPing", func(cb *engine.Callbacks) { cb.OnPing = func(*engine.WebSocket, []byte) { oops() } }, frame(0x89, "a")},
		{"OnPong", func(cb *engine.Callbacks) { cb.OnPong = func(*engine.WebSocket, []byte) { oops() } }, frame(0x8a, "a")},
		{"Do", func(cb *engine.Callbacks) {
			cb.OnText = func(ws *engine.WebSocket, _ []byte) { _ = ws.Do(oops) }
		}, frame(0x81, "a")},
		{"while held", func(cb *engine.Callbacks) {
			cb.OnText = func(ws *engine.WebSocket, _ []byte) { ws.PauseReading(); ws.ResumeReading() }
			cb.OnBinary = func(*engine.WebSocket, []byte) { oops() }
		}, frame(0x81, "a") + frame(0x82, "b")},
		{"a nil pointer", func(cb *engine.Callbacks) {
			cb.OnText = func(*engine.WebSocket, []byte) {
				var p *int
				*p++
			}
		}, frame(0x81, "a")},
	}
}

// R17
func TestPanicInACallbackClosesItsConnectionWith1011(t *testing.T) {
	for _, c := range panicCases() {
		t.Run(c.name, func(t *testing.T) {
			log, book := newLog()
			cb, ended := record(engine.Callbacks{})
			failures := make(chan error, 4)
			cb.OnError = func(_ *engine.WebSocket, err error) { failures <- err }
			c.set(&cb)
			addr := listen(t, &engine.Server{Loops: 1, Logger: log, Callbacks: cb, OnUpgrade: gentle})
			other := openRaw(t, addr, "X-Gentle: 1")

			victim := openRaw(t, addr)
			victim.send(c.octets + frame(0x89, "not looked at any more"))
			if reason := victim.wantClose(engine.StatusInternalError); strings.Contains(reason, "secret") {
				t.Errorf("the peer is told %q", reason)
			}
			_ = victim.Close()
			got := within(t, "OnClose", ended)
			var panicked *engine.PanicError
			if got.code != engine.StatusInternalError || !errors.As(got.err, &panicked) {
				t.Fatalf("ended with %+v, want 1011 and a *PanicError", got)
			}
			if panicked.Value == nil || !strings.Contains(string(panicked.Stack), "panic_test.go") {
				t.Errorf("PanicError holds %v and this stack:\n%s", panicked.Value, panicked.Stack)
			}
			if err := within(t, "OnError", failures); err != got.err || len(failures) != 0 {
				t.Errorf("OnError was told %v and %d more, want %v once", err, len(failures), got.err)
			}
			if n := book.count("callback panicked"); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
			other.send(frame(0x81, "unmoved"))
			other.wantMessage(engine.Text, "unmoved")
		})
	}
}

// gentle gives the connections that ask for it callbacks that do not panic.
func gentle(ws *engine.WebSocket, req *handshake.Request) {
	if req.Header("X-Gentle") != "" {
		ws.OnFragment(nil)
		ws.OnText(func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) })
		ws.OnClose(nil)
		ws.OnError(nil)
	}
}

// R17
func TestPanicInOnUpgradeIs1011(t *testing.T) {
	log, book := newLog()
	cb, ended := record(engine.Callbacks{})
	addr := listen(t, &engine.Server{Logger: log, Callbacks: cb, OnUpgrade: func(*engine.WebSocket, *handshake.Request) { panic("oops") }})
	c := openRaw(t, addr)
	c.wantClose(engine.StatusInternalError)
	_ = c.Close()
	if got := within(t, "OnClose", ended); got.code != engine.StatusInternalError {
		t.Errorf("ended with %+v", got)
	}
	if n := book.count("callback panicked"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

// R17
func TestPanicInOnUpgradeOfDialIs1011(t *testing.T) {
	log, book := newLog()
	cb, ended := record(engine.Callbacks{})
	addr := listen(t, &engine.Server{Callbacks: cb})
	ws := dialEngine(t, addr, &engine.DialOptions{Logger: log, OnUpgrade: func(*engine.WebSocket) { panic("oops") }})
	wantEnding(t, ended, engine.StatusInternalError, "internal error", nil)
	within(t, "the end", ws.Done())
	var panicked *engine.PanicError
	if !errors.As(ws.Err(), &panicked) || book.count("callback panicked") != 1 {
		t.Errorf("Err is %v, logged %d times", ws.Err(), book.count("callback panicked"))
	}
}

// R17: nobody can be told any more, but the end goes on to its end.
func TestPanicInOnErrorAndOnClose(t *testing.T) {
	log, book := newLog()
	order := make(chan string, 8)
	opened := make(chan *engine.WebSocket, 2)
	srv := &engine.Server{
		Logger:    log,
		Loops:     1,
		OnUpgrade: func(ws *engine.WebSocket, _ *handshake.Request) { opened <- ws },
		Callbacks: engine.Callbacks{
			OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
			OnError: func(*engine.WebSocket, error) {
				order <- "OnError"
				panic("in OnError")
			},
			OnClose: func(*engine.WebSocket, engine.StatusCode, string) {
				order <- "OnClose"
				panic("in OnClose")
			},
		},
	}
	addr := listen(t, srv)
	for name, end := range map[string]string{"broken rule": frame(0x83, ""), "closing handshake": frame(0x88, ""), "vanishing": ""} {
		logged := book.count("callback panicked")
		c := openRaw(t, addr)
		ws := within(t, "OnUpgrade", opened)
		if c.send(end); end != "" {
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
		if n := book.count("callback panicked") - logged; n != len(want) {
			t.Errorf("%s: logged %d times, want %d", name, n, len(want))
		}
		if len(order) > 0 {
			t.Errorf("%s: %s was called after OnClose", name, <-order)
		}
	}
	eventually(t, "all connections to be counted as ended", func() bool { return srv.Conns() == 0 })
	c := openRaw(t, addr)
	c.send(frame(0x81, "the loop lives"))
	c.wantMessage(engine.Text, "the loop lives")
}

// R17
func TestPanicInOnDrainIs1011(t *testing.T) {
	log, book := newLog()
	cb, ended := record(engine.Callbacks{
		OnText:  func(ws *engine.WebSocket, _ []byte) { _ = ws.SendBinary(pattern(16 << 20)) },
		OnDrain: func(*engine.WebSocket) { panic("oops") },
	})
	addr := listen(t, &engine.Server{Logger: log, Callbacks: cb})
	c := openRaw(t, addr)
	c.send(frame(0x81, ""))
	c.wantClose(engine.StatusInternalError)
	_ = c.Close()
	if got := within(t, "OnClose", ended); got.code != engine.StatusInternalError || book.count("callback panicked") != 1 {
		t.Errorf("ended with %+v, logged %d times", got, book.count("callback panicked"))
	}
}
