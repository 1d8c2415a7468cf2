package pull_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// footprint is what is in use after a collection.
func footprint() (heap, stacks int64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// An idle connection with a handler costs a Conn and a goroutine that sleeps, besides
// what it costs without.
func TestBlockedReaderIsCheap(t *testing.T) {
	const conns = 1000
	type cost struct{ heap, stacks int64 }
	measure := func(onUpgrade func(*engine.WebSocket, *engine.Request)) cost {
		upgraded := make(chan bool, conns)
		url := listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			if onUpgrade != nil {
				onUpgrade(ws, req)
			}
			upgraded <- true
		}})
		heap, stacks := footprint()
		for range conns {
			ws, err := engine.Dial(soon(t), url, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ws.CloseNow(); <-ws.Done() })
			within(t, "the upgrade", upgraded)
		}
		heap2, stacks2 := footprint()
		return cost{(heap2 - heap) / conns, (stacks2 - stacks) / conns}
	}
	measure(nil) // what is made once is there from now on
	plain := measure(nil)
	made := measure(func(ws *engine.WebSocket, _ *engine.Request) { pull.New(ws) })
	read := measure(pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
		_, _, err := c.Read(ctx)
		return err
	}))
	t.Logf("both sides of a connection: %+v plain, %+v with a Conn, %+v with a blocked reader", plain, made, read)
	if n := made.heap - plain.heap; n > 1<<10 {
		t.Errorf("a Conn takes %d bytes", n)
	}
	if n := read.heap + read.stacks - plain.heap - plain.stacks; n > 6<<10 {
		t.Errorf("a Conn and its blocked reader take %d bytes", n)
	}
}
