package engine_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// numbered is a message of size bytes that begins with its number.
func numbered(i uint32, size int) []byte {
	b := pattern(size)
	binary.BigEndian.PutUint32(b, i)
	return b
}

func (c *rawClient) wantNumbered(i uint32, size int) {
	c.t.Helper()
	c.wantMessage(engine.Binary, string(numbered(i, size)))
}

// R01
func TestSendIsRefusedAtMaxQueuedAndDrainsOnceThePeerReads(t *testing.T) {
	for name, highWater := range map[string]int{"over HighWater": 128 << 10, "never over HighWater": 256 << 10} {
		t.Run(name, func(t *testing.T) { refuseAndDrain(t, highWater) })
	}
}

func refuseAndDrain(t *testing.T, highWater int) {
	const most, low, size = 256 << 10, 32 << 10, 10_000
	opened, drained := make(chan *engine.WebSocket, 1), make(chan int, 100)
	srv := &engine.Server{
		Limits:    engine.Limits{MaxQueued: most, HighWater: highWater, LowWater: low},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnDrain: func(ws *engine.WebSocket) { drained <- ws.Buffered() }},
	}
	c := openNarrow(t, listen(t, srv))
	ws := within(t, "OnUpgrade", opened)
	accepted := uint32(0)
	for round := range 3 {
		// refuse sends until one is refused.
		refuse := func() {
			var err error
			before := 0 // the send that was refused; the kernel may take more at any time
			for err == nil {
				before = ws.Buffered()
				if err = ws.SendBinary(numbered(accepted, size)); err == nil {
					accepted++
				}
				if n := ws.Buffered(); n > most {
					t.Fatalf("round %d: %d bytes are queued, want at most %d", round, n, most)
				}
			}
			if !errors.Is(err, engine.ErrBackpressure) {
				t.Fatalf("round %d: Send: %v, want ErrBackpressure", round, err)
			}
			if before <= most-size-16 {
				t.Fatalf("round %d: refused with %d bytes queued of %d", round, before, most)
			}
		}
		refuse()
		for len(drained) > 0 { // the kernel took it, as its buffers grow: fill them up
			if n := <-drained; n > low {
				t.Fatalf("round %d: OnDrain came with %d bytes queued, while nobody reads", round, n)
			}
			refuse()
		}
		for i := range accepted { // what was refused leaves no trace
			c.wantNumbered(i, size)
		}
		if n := within(t, "OnDrain", drained); n > low {
			t.Errorf("round %d: OnDrain came with %d bytes queued", round, n)
		}
		accepted = 0
	}
	if err := ws.Err(); err != nil {
		t.Error("the connection ended:", err)
	}
}

func TestOneMessageLargerThanMaxQueuedIsTaken(t *testing.T) {
	const most = 64 << 10
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{
		Limits:    engine.Limits{MaxQueued: most},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
	}
	c := openNarrow(t, listen(t, srv))
	ws := within(t, "OnUpgrade", opened)
	if err := ws.SendBinary(numbered(0, 200*most)); err != nil {
		t.Fatal("the large message:", err)
	}
	if err := ws.SendBinary([]byte("more")); !errors.Is(err, engine.ErrBackpressure) {
		t.Fatalf("one more: %v, want ErrBackpressure", err)
	}
	if err := ws.Ping(nil); err != nil { // never refused
		t.Error("Ping:", err)
	}
	c.wantNumbered(0, 200*most)
}

// R01: the one that does not read is dropped, the others miss nothing.
func TestWriteTimeoutDropsWhoNeverReadsAndNobodyElse(t *testing.T) {
	const clients, messages, size = 8, 400, 64 << 10
	opened := make(chan *engine.WebSocket, clients+1)
	var ended sync.Map // *engine.WebSocket to error
	srv := &engine.Server{
		Loops:     2,
		Limits:    engine.Limits{WriteTimeout: 500 * time.Millisecond},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{
			OnError: func(ws *engine.WebSocket, err error) { ended.Store(ws, err) },
		},
	}
	addr := listen(t, srv)
	stalled := openNarrow(t, addr)
	slow := within(t, "OnUpgrade", opened)
	var reading sync.WaitGroup
	sockets := make([]*engine.WebSocket, clients)
	var read [clients]atomic.Uint32 // messages
	for i := range sockets {
		c := openRaw(t, addr)
		sockets[i] = within(t, "OnUpgrade", opened)
		reading.Go(func() {
			for m := range uint32(messages) {
				h, got, err := c.readFrame()
				if err != nil || len(got) != size || binary.BigEndian.Uint32(got) != m {
					t.Errorf("client %d: message %d: %v %v, %d bytes", i, m, err, h, len(got))
					return
				}
				read[i].Add(1)
			}
		})
	}
	for m := range uint32(messages) {
		prepared, err := engine.Prepare(engine.Binary, numbered(m, size))
		if err != nil {
			t.Fatal(err)
		}
		_ = slow.SendPrepared(prepared) // backpressure, and later the end
		for i, ws := range sockets {
			// What waits for a reader is in the kernel: a reader that gets no CPU
			// must not look like one that never reads.
			eventually(t, "the message before is read", func() bool { return read[i].Load() >= m })
			if err := ws.SendPrepared(prepared); err != nil {
				t.Fatalf("client %d: %v, %v", i, err, ws.Err())
			}
		}
	}
	reading.Wait()
	within(t, "the end of who never reads", slow.Done())
	if err := slow.Err(); !errors.Is(err, engine.ErrWriteTimeout) {
		t.Errorf("who never reads ended with %v, want ErrWriteTimeout", err)
	}
	if n := slow.Buffered(); n != 0 {
		t.Errorf("%d bytes are still queued for it", n)
	}
	stalled.wantGone()
	ended.Range(func(ws, err any) bool {
		if ws != slow {
			t.Errorf("another one ended: %v", err)
		}
		return true
	})
}
