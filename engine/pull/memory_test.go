package pull_test

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// filled is a server whose handlers do not read, and clients that have sent each of them
// 50 messages of 1 KiB.
func filled(t *testing.T, srv *engine.Server, clients int) (conns []*pull.Conn) {
	t.Helper()
	opened := make(chan *pull.Conn, clients)
	srv.OnUpgrade = pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
		opened <- c
		<-ctx.Done()
		return nil
	})
	url, ctx := listen(t, srv), soon(t)
	for range clients {
		c := dial(t, url, nil)
		for range 50 {
			if err := c.Write(ctx, engine.Binary, make([]byte, 1<<10)); err != nil {
				return conns // it was dropped
			}
		}
		conns = append(conns, within(t, "the handler", opened))
	}
	return conns
}

// What waits for readers is in the ledger, at what it costs, until it is read or the
// connection has ended.
func TestLedgerKnowsWhatWaitsForReaders(t *testing.T) {
	const clients, messages, size = 100, 50, 1 << 10
	srv := &engine.Server{Loops: 2}
	before, _ := footprint()
	conns := filled(t, srv, clients)
	eventually(t, "all is received", func() bool { return srv.Stats().BytesIn > clients*messages*size })
	eventually(t, "it is counted", func() bool { return srv.Memory().Assembly > clients*messages*size/2 })
	after, _ := footprint()
	heap, ledger := int(after-before), srv.Memory().Waiting()
	t.Logf("the heap grew by %d KiB, the ledger by %d KiB", heap>>10, ledger>>10)
	if ledger < heap*7/10 || ledger > heap*6/5 { // the heap has connections too
		t.Errorf("the heap grew by %d bytes, the ledger by %d", heap, ledger)
	}
	for i, c := range conns {
		if i%2 == 0 {
			c.CloseNow()
			<-c.Context().Done()
			continue
		}
		for range messages {
			if _, _, err := c.Read(soon(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "nothing is counted", func() bool { return srv.Memory().Waiting() == 0 })
	runtime.KeepAlive(conns)
}

// Readers that do not read cannot make the server hold more than its budget.
func TestWhatWaitsForReadersIsBounded(t *testing.T) {
	const budget = 1 << 20
	srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: budget, MaxQueued: 64 << 10}}
	filled(t, srv, 100)
	eventually(t, "some are dropped", func() bool { return srv.Stats().Ended[engine.CauseOverload] > 0 })
	eventually(t, "the rest is within the budget", func() bool { return srv.Memory().Waiting() <= budget })
}

// What Hold counts is taken back once, however much is.
func TestHoldCountsWhatTheProgramKeeps(t *testing.T) {
	srv := new(engine.Server)
	server, _ := pair(t, srv, nil)
	ws := server.WebSocket()
	want := func(n int) {
		t.Helper()
		if got := srv.Memory().Assembly; got != n {
			t.Errorf("%d bytes are counted, want %d", got, n)
		}
	}
	ws.Hold(1000)
	ws.Hold(500)
	want(1500)
	ws.Hold(-200)
	want(1300)
	ws.Hold(-5000)
	want(0)
	ws.Hold(700)
	ws.CloseNow()
	<-ws.Done()
	eventually(t, "nothing is counted", func() bool { return srv.Memory().Assembly == 0 })
	ws.Hold(700)
	want(0)
}

// What a program holds for one connection is bounded, so that no sum of them overflows.
func TestHoldDoesNotOverflow(t *testing.T) {
	srv := &engine.Server{Limits: engine.Limits{MaxMemory: engine.NoLimit}}
	server, _ := pair(t, srv, nil)
	ws := server.WebSocket()
	for range 2 {
		ws.Hold(math.MaxInt)
	}
	if n := srv.Memory().Assembly; n <= 0 {
		t.Errorf("%d bytes are counted", n)
	}
	ws.Hold(math.MinInt)
	if n := srv.Memory().Assembly; n != 0 {
		t.Errorf("%d bytes are counted after all were taken back", n)
	}
}
