package engine_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// holders opens connections that do not read, and queues so many bytes for each.
func holders(t *testing.T, srv *engine.Server, sizes ...int) (sockets []*engine.WebSocket) {
	t.Helper()
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		joined <- ws
	}
	addr := listenWithSendBuffer(t, srv, 4096)
	for _, size := range sizes {
		openNarrow(t, addr)
		ws := within(t, "OnUpgrade", joined)
		fillTo(t, ws, size)
		sockets = append(sockets, ws)
	}
	return sockets
}

func TestThoseThatHoldMostGoFirst(t *testing.T) {
	const kb = 1000
	var mu sync.Mutex
	told := make(map[*engine.WebSocket]error)
	srv := &engine.Server{
		Loops:  1,
		Limits: engine.Limits{MaxMemory: 5000 * kb},
		Callbacks: engine.Callbacks{OnError: func(ws *engine.WebSocket, err error) {
			mu.Lock()
			defer mu.Unlock()
			told[ws] = err
		}},
	}
	sockets := holders(t, srv, 200*kb, 2000*kb, 100*kb, 1500*kb, 300*kb, 400*kb)
	if q := srv.Stats().QueuedBytes; q < 4400*kb || q > 4500*kb { // the kernel may have taken a little more
		t.Fatalf("%d bytes are queued", q)
	}
	for sockets[2].Buffered() < 800*kb { // more than 5000 together
		if err := sockets[2].SendBinary(pattern(30 * kb)); err != nil && !errors.Is(err, engine.ErrBackpressure) {
			t.Fatal(err)
		}
	}
	within(t, "the end of the largest", sockets[1].Done())
	eventually(t, "what is queued for the others is all that is left", func() bool {
		sum := 0
		for _, ws := range sockets {
			sum += ws.Buffered()
		}
		return sum > 3000*kb && srv.Stats().QueuedBytes == sum
	})
	mu.Lock()
	defer mu.Unlock()
	if err := sockets[1].Err(); !errors.Is(err, engine.ErrOverload) || !errors.Is(told[sockets[1]], engine.ErrOverload) {
		t.Errorf("the largest ended with %v, OnError was told %v", err, told[sockets[1]])
	}
	for i, ws := range sockets {
		if err := ws.Err(); i != 1 && err != nil {
			t.Errorf("connection %d ended: %v", i, err)
		}
	}
	if st := srv.Stats(); st.Ended[engine.CauseOverload] != 1 || st.Connections != len(sockets)-1 {
		t.Errorf("%+v", st)
	}
}

// What waits where it can still be dropped counts too, and so do connections
// that are closing already.
func TestBacklogsAndClosingConnectionsCountForTheBudget(t *testing.T) {
	const kb = 1000
	srv := &engine.Server{
		Loops:  1,
		Limits: engine.Limits{MaxMemory: 3000 * kb, CloseTimeout: patience},
		Slow:   engine.Slow{Policy: engine.SlowDropOldest, Limit: 100_000 * kb},
	}
	sockets := holders(t, srv, 200*kb, 1000*kb, 300*kb)
	if err := sockets[1].Close(engine.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	if err := sockets[2].Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	for published := 0; sockets[0].Err() == nil; {
		if published > 3000*kb {
			t.Fatalf("nobody is dropped: %+v", srv.Stats())
		}
		if _, err := srv.Publish("room", engine.BinaryMessage(pattern(50*kb))); err != nil {
			t.Fatal(err)
		}
		flushed(t, sockets[2])
		published += 50 * kb
		if n := sockets[0].Buffered(); sockets[0].Err() == nil && n < 150*kb+published {
			t.Fatalf("%d bytes wait after %d were published", n, published)
		}
	}
	within(t, "the end of the one that held most", sockets[0].Done())
	for i, ws := range sockets[1:] {
		if err := ws.Err(); err != nil {
			t.Errorf("connection %d, which held less, ended: %v", i+1, err)
		}
	}
}

// T04: a connection that is dropped for the budget and ends in the same turn, here by
// what was posted to it, hears why before OnClose. Sends are refused at once.
func TestOverloadIsReportedBeforeTheEndThatItCauses(t *testing.T) {
	cb, ended := record(engine.Callbacks{})
	told := make(chan error, 2)
	cb.OnError = func(_ *engine.WebSocket, err error) { told <- err }
	srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 1 << 20}, Callbacks: cb}
	ws := holders(t, srv, 900_000)[0]
	release := engine.Hold(srv)
	defer release()
	for err := error(nil); err == nil; { // over the budget
		if err = ws.SendBinary(pattern(1000)); err != nil && !errors.Is(err, engine.ErrBackpressure) {
			t.Fatal(err)
		}
	}
	refused := make(chan error, 1)
	if err := ws.Do(func() { refused <- ws.SendBinary(nil) }); err != nil {
		t.Fatal(err)
	}
	release()
	if err := within(t, "the send", refused); !errors.Is(err, engine.ErrClosed) {
		t.Error("a send returned", err)
	}
	if e := within(t, "OnClose", ended); !errors.Is(e.err, engine.ErrOverload) {
		t.Errorf("ended with %v", e)
	}
	select {
	case err := <-told:
		if !errors.Is(err, engine.ErrOverload) {
			t.Error("OnError got", err)
		}
	default:
		t.Error("OnError was not called")
	}
}

// Looking for those that hold most holds up nobody: it is done in many iterations.
func TestReliefIsCutIntoIterations(t *testing.T) {
	const each = 900_000
	srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 3 * each * 20 / 19}}
	sockets := holders(t, srv, each, each+each/4, each-each/4)
	if st := srv.Stats(); st.HeldBytes < st.Budget*9/10 || st.HeldBytes > st.Budget {
		t.Fatalf("%d bytes are held of %d", st.HeldBytes, st.Budget)
	}
	iterations, ended := 0, make(chan struct{})
	var count func()
	count = func() {
		if srv.Stats().Ended[engine.CauseOverload] > 0 {
			close(ended)
			return
		}
		iterations++
		_ = sockets[0].Do(count) // in the next iteration
	}
	_ = sockets[0].Do(func() { engine.Relieve(srv, sockets[0], 1); count() })
	within(t, "the end of the largest", sockets[1].Done())
	within(t, "the count", ended)
	if iterations < 2*len(sockets) { // they are looked at twice
		t.Errorf("somebody was shed after %d iterations", iterations)
	}
}
