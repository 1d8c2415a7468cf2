package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// patience bounds every wait of a test, so that what never comes is a failure
// and not a hang. No test depends on how long it is.
const patience = testkit.Patience

// listen starts srv on a free port of 127.0.0.1, ends it with the test, and
// returns host:port. Without a Logger, srv logs to nowhere.
func listen(t testing.TB, srv *engine.Server) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error("closing the server:", err)
		}
	})
	return addr.String()
}

// listenWith starts srv with options on a free port of 127.0.0.1, or on a unix
// address, and ends it with the test.
func listenWith(t testing.TB, srv *engine.Server, addr string, opt engine.ListenOptions) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error("closing the server:", err)
		}
	})
	got, err := srv.ListenWith(addr, opt)
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// echo are callbacks that send every message back.
var echo = engine.Callbacks{
	OnText:   func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	OnBinary: func(ws *engine.WebSocket, data []byte) { _ = ws.Send(engine.Binary, data) },
}

// within is testkit.Within.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	return testkit.Within(t, what, ch)
}

// eventually is testkit.Eventually.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	testkit.Eventually(t, what, cond)
}

// dialEngine opens a WebSocket with Dial and drops it with the test.
func dialEngine(t testing.TB, addr string, opt *engine.DialOptions) *engine.WebSocket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := engine.Dial(ctx, "ws://"+addr+"/chat", opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ws.CloseNow()
		within(t, "the end of a dialed connection", ws.Done())
	})
	return ws
}

// liveHeap is the number of bytes and objects that are in use after a
// collection.
func liveHeap() (size, objects uint64) {
	runtime.GC()
	runtime.GC() // what sync.Pool kept through the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.HeapObjects
}

// allocated is the number of bytes and objects ever allocated.
func allocated() (size, objects uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc, m.Mallocs
}

// pattern is testkit.Pattern.
func pattern(n int) []byte { return testkit.Pattern(n) }

// message is one that arrived.
type message struct {
	op      engine.OpCode
	payload string
}

func (m message) String() string {
	return fmt.Sprintf("%v of %d octets %.60q", m.op, len(m.payload), m.payload)
}

// sendThirds sends p as a message of three frames; the last is empty if p is short.
func sendThirds(ws *engine.WebSocket, op engine.OpCode, p []byte) error {
	n := (len(p) + 2) / 3
	a, b := min(n, len(p)), min(2*n, len(p))
	return errors.Join(ws.SendFragment(op, p[:a], false), ws.SendFragment(op, p[a:b], false), ws.SendFragment(op, p[b:], true))
}
