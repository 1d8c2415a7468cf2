package engine_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// holders opens connections that do not read, and queues so many bytes for each.
func holders(t *testing.T, srv *engine.Server, sizes ...int) (sockets []*engine.WebSocket) {
	t.Helper()
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *handshake.Request) {
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
		Limits: engine.Limits{MaxQueuedTotal: 5000 * kb},
		Callbacks: engine.Callbacks{OnError: func(ws *engine.WebSocket, err error) {
			mu.Lock()
			defer mu.Unlock()
			told[ws] = err
		}},
	}
	sockets := holders(t, srv, 200*kb, 2000*kb, 100*kb, 1500*kb, 300*kb, 400*kb)
	if q := srv.Stats().QueuedBytes; q != 4500*kb {
		t.Fatalf("%d bytes are queued", q)
	}
	fillTo(t, sockets[2], 601*kb) // 5001 together
	within(t, "the end of the largest", sockets[1].Done())
	eventually(t, "the queues are below the budget", func() bool { return srv.Stats().QueuedBytes == 3001*kb })
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
	if st := srv.Stats(); st.ClosedSlow != 1 || st.Connections != len(sockets)-1 {
		t.Errorf("%+v", st)
	}
}

// What waits where it can still be dropped counts too, and so do connections
// that are closing already.
func TestBacklogsAndClosingConnectionsCountForTheBudget(t *testing.T) {
	const kb = 1000
	srv := &engine.Server{
		Loops:  1,
		Limits: engine.Limits{MaxQueuedTotal: 3000 * kb, CloseTimeout: patience},
		Slow:   engine.Slow{Policy: engine.SlowDropOldest, Limit: 100_000 * kb},
	}
	sockets := holders(t, srv, 200*kb, 1000*kb, 300*kb)
	if err := sockets[1].Close(engine.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	if err := sockets[2].Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	for published := 0; sockets[1].Err() == nil; published += 50 * kb {
		if published > 3000*kb {
			t.Fatalf("nobody is dropped: %+v", srv.Stats())
		}
		if _, err := srv.Publish("room", engine.Binary, pattern(50*kb)); err != nil {
			t.Fatal(err)
		}
		flushed(t, sockets[2])
		if n := sockets[0].Buffered(); n < 200*kb+published {
			t.Fatalf("%d bytes wait after %d were published", n, published)
		}
	}
	// 3001: one that holds more than 1000 goes; that makes enough room.
	within(t, "the end of the one that held most", sockets[0].Done())
	if err := sockets[2].Err(); err != nil {
		t.Error("the one that held least ended:", err)
	}
}
