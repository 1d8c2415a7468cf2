package engine_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// blocking are callbacks that block when they get "block", until leave is called.
func blocking(t *testing.T) (cb engine.Callbacks, inside *atomic.Int32, leave func()) {
	end := make(chan struct{})
	leave = sync.OnceFunc(func() { close(end) })
	t.Cleanup(leave) // also if the test fails before
	inside = new(atomic.Int32)
	return engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
		if string(text) == "block" {
			inside.Add(1)
			<-end
		}
		_ = ws.Send(engine.Text, text)
	}}, inside, leave
}

// U07: callbacks that block hold up no other connection, however many they are, up
// to Workers.
func TestDispatchServesOthersWhileCallbacksBlock(t *testing.T) {
	const blocked = 300
	cb, inside, leave := blocking(t)
	srv := &engine.Server{Loops: 1, Dispatch: new(engine.Dispatch), Callbacks: cb}
	addr := listen(t, srv)
	t.Cleanup(leave) // before the server waits for them
	for range blocked {
		openRaw(t, addr).send(testkit.Masked(engine.Text, "block"))
	}
	other := openRaw(t, addr)
	other.exchange("served")
	eventually(t, "all callbacks are under way", func() bool { return inside.Load() == blocked })
	other.exchange("served")
}

// Workers is a bound all the same. When it is reached, the log says so, and those
// that wait are served as soon as one callback returns.
func TestDispatchSaysThatAllWorkersBlock(t *testing.T) {
	const workers = 3
	log, book := newLog()
	cb, inside, leave := blocking(t)
	srv := &engine.Server{Loops: 1, Logger: log, Dispatch: &engine.Dispatch{Workers: workers}, Callbacks: cb}
	addr := listen(t, srv)
	t.Cleanup(leave)
	for range workers {
		openRaw(t, addr).send(testkit.Masked(engine.Text, "block"))
	}
	eventually(t, "all workers block", func() bool { return inside.Load() == workers })
	other := openRaw(t, addr)
	other.send(testkit.Masked(engine.Text, "block"))
	eventually(t, "it is logged", func() bool { return book.count("all workers of Dispatch") > 0 })
	if n := inside.Load(); n != workers {
		t.Errorf("%d callbacks run, want %d", n, workers)
	}
	leave()
	other.wantMessage(engine.Text, "block")
}

func TestDispatchPausesReadingBeyondMaxWaitingBytes(t *testing.T) {
	const limit, size, messages = 64 << 10, 10_000, 1000
	cb, _, leave := blocking(t)
	cb.OnBinary = echo.OnBinary
	srv := &engine.Server{
		Loops:     1,
		Dispatch:  &engine.Dispatch{Workers: 1, MaxWaiting: messages, MaxWaitingBytes: limit},
		Callbacks: cb,
	}
	addr := listen(t, srv)
	t.Cleanup(leave)
	c := openRaw(t, addr)
	c.send(testkit.Masked(engine.Text, "block"))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range uint32(messages) {
			c.sendFrame(engine.Binary, true, numbered(i, size))
		}
	}()
	eventually(t, "reading pauses", func() bool { return srv.Stats().MessagesIn > limit/size })
	witness := openRaw(t, addr)
	for range 20 { // iterations of the loop
		witness.send(testkit.Masked(codec.Ping, "still there?"))
		witness.wantFrame(codec.Pong, true, "still there?")
	}
	if n := srv.Stats().MessagesIn; n > 1+limit/size+1 {
		t.Errorf("%d messages were taken in, want those of %d bytes and the one that was too many", n, limit)
	}
	leave()
	c.wantMessage(engine.Text, "block")
	for i := range uint32(messages) {
		c.wantNumbered(i, size)
	}
	within(t, "the end of sending", sent)
}

// U07, R-a: connections that come, send and go leave behind no more than a bound.
func TestDispatchSkipsMessagesOfManyThatHaveEnded(t *testing.T) {
	const leavers, each, bound = 200, 3, 64
	cb, inside, leave := blocking(t)
	var delivered, closed atomic.Int32
	onText := cb.OnText
	cb.OnText = func(ws *engine.WebSocket, text []byte) {
		if string(text) == "left behind" {
			delivered.Add(1)
		}
		onText(ws, text)
	}
	cb.OnClose = func(*engine.WebSocket, engine.StatusCode, string) { closed.Add(1) }
	srv := &engine.Server{Loops: 1, Dispatch: &engine.Dispatch{Workers: 1}, Callbacks: cb}
	addr := listen(t, srv)
	t.Cleanup(leave)
	stayer := openRaw(t, addr)
	stayer.send(testkit.Masked(engine.Text, "block"))
	eventually(t, "the worker blocks", func() bool { return inside.Load() == 1 })
	for range leavers {
		c := openRaw(t, addr)
		for range each {
			c.send(testkit.Masked(engine.Text, "left behind"))
		}
		c.send(testkit.Masked(8, "\x03\xe8"))
		c.wantClose(engine.StatusNormalClosure)
		_ = c.Close()
	}
	eventually(t, "all have left", func() bool { return srv.Conns() == 1 })
	stayer.send(testkit.Masked(engine.Text, "waits"))
	if n := srv.Stats().Skipped; n != (leavers-bound)*each {
		t.Errorf("%d messages are skipped, want %d", n, (leavers-bound)*each)
	}
	leave()
	stayer.wantMessage(engine.Text, "block")
	stayer.wantMessage(engine.Text, "waits")
	eventually(t, "each OnClose", func() bool { return closed.Load() == leavers })
	if n := delivered.Load(); n != bound*each {
		t.Errorf("%d messages of those that left are delivered, want %d", n, bound*each)
	}
	late := openRaw(t, addr) // the places of those that left are free again
	late.send(testkit.Masked(engine.Text, "left behind") + testkit.Masked(8, "\x03\xe8"))
	late.wantClose(engine.StatusNormalClosure)
	_ = late.Close()
	eventually(t, "the late one", func() bool { return delivered.Load() == bound*each+1 && closed.Load() == leavers+1 })
}

// Of the goroutines that were needed for callbacks that block, few stay.
func TestDispatchEndsIdleWorkers(t *testing.T) {
	const clients = 100
	cb, inside, leave := blocking(t)
	srv := &engine.Server{Loops: 1, Dispatch: new(engine.Dispatch), Callbacks: cb}
	addr := listen(t, srv)
	t.Cleanup(leave)
	conns := make([]*rawClient, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
		conns[i].send(testkit.Masked(engine.Text, "block"))
	}
	eventually(t, "all callbacks are under way", func() bool { return inside.Load() == clients })
	if n := engine.Workers(srv); n < clients {
		t.Errorf("%d workers run %d callbacks", n, clients)
	}
	leave()
	for _, c := range conns {
		c.wantMessage(engine.Text, "block")
	}
	eventually(t, "few workers are left", func() bool { return engine.Workers(srv) <= 8 })
	conns[0].exchange("served")
}

// R-a: one that has nothing to be called leaves nothing behind.
func TestDispatchKeepsNothingOfAConnectionWithoutCallbacks(t *testing.T) {
	cb, inside, leave := blocking(t)
	srv := &engine.Server{Loops: 1, Dispatch: &engine.Dispatch{Workers: 1}, Callbacks: cb}
	opened := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }
	addr := listen(t, srv)
	t.Cleanup(leave)
	openRaw(t, addr).send(testkit.Masked(engine.Text, "block"))
	within(t, "OnUpgrade", opened)
	eventually(t, "the worker blocks", func() bool { return inside.Load() == 1 })
	c := openRaw(t, addr)
	ws := within(t, "OnUpgrade", opened)
	_ = c.Close()
	within(t, "Done", ws.Done())
}
