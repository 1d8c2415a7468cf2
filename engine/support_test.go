package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// patience bounds every wait of a test, so that what never comes is a failure
// and not a hang. No test depends on how long it is.
const patience = 30 * time.Second

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

// within returns what comes from ch, and fails the test if nothing does.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// eventually waits until cond holds, for states that no channel announces.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not reached", what)
		}
	}
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

// pattern is n bytes that do not repeat with a power of two.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxy"), n/35+1)[:n]
}

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
