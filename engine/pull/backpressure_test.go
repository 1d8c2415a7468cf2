package pull_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// liveHeap is the number of bytes in use after a collection.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what sync.Pool kept through the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A reader that does not read bounds what its peer can make it hold, whatever the size
// of the messages.
func TestNobodyReadsAndMemoryIsBounded(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 256 << 10} {
		t.Run(name, func(t *testing.T) {
			limits := engine.Limits{MaxQueued: 64 << 10} // what the client holds, or one message
			server, client := pair(t, &engine.Server{}, &engine.DialOptions{Limits: limits})
			before := liveHeap()
			var written atomic.Int64
			ctx, cancel := context.WithCancelCause(context.Background())
			ended := make(chan error, 1)
			go func() {
				p := make([]byte, size)
				for {
					if err := client.Write(ctx, engine.Binary, p); err != nil {
						ended <- err
						return
					}
					written.Add(1)
				}
			}()
			last := int64(-1)
			eventually(t, "the writer stands still", func() bool {
				now := written.Load()
				defer func() { last = now }()
				time.Sleep(20 * time.Millisecond)
				return now > 0 && now == last && client.WebSocket().Buffered() > 0
			})
			// One message thrice at the client: the writer's, masked, and in a buffer of twice its
			// size; and what waits for the reader. Without a reader, nothing of that is freed.
			eventually(t, "the heap grew by less than 2 MiB", func() bool { return liveHeap()-before < 2<<20 })
			cancel(errTest)
			if err := within(t, "the writer", ended); !errors.Is(err, errTest) {
				t.Fatal(err)
			}
			patient := soon(t)
			for range min(written.Load(), 5000) {
				if _, data, err := server.Read(patient); err != nil || len(data) != size {
					t.Fatal(len(data), err)
				}
			}
		})
	}
}

// Two sides that write before they read come to a stop when everything between them is
// full. Their contexts end that, and what was written arrives.
func TestBothWriteBeforeTheyRead(t *testing.T) {
	const messages, size = 1000, 64 << 10
	server, client := pair(t, &engine.Server{}, nil)
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errTest)
	defer cancel()
	var wg sync.WaitGroup
	both := []*pull.Conn{server, client}
	var sent [2]int
	for i, c := range both {
		wg.Go(func() {
			p := make([]byte, size)
			for ; sent[i] < messages; sent[i]++ {
				binary.BigEndian.PutUint64(p, uint64(sent[i]))
				if err := c.Write(ctx, engine.Binary, p); err != nil {
					if !errors.Is(err, errTest) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	patient := soon(t)
	for i, c := range both {
		wg.Go(func() {
			for n := range sent[1-i] {
				_, data, err := c.Read(patient)
				if err != nil || len(data) != size || binary.BigEndian.Uint64(data) != uint64(n) {
					t.Errorf("message %d of %d: %d bytes, %v", n, sent[1-i], len(data), err)
					return
				}
			}
		})
	}
	wg.Wait()
	send(t, client, "after all")
	wantText(t, server, "after all")
}

// They need not end by their contexts if they read beside.
func TestBothWriteWhileOthersRead(t *testing.T) {
	const messages, size = 1000, 64 << 10
	limits := engine.Limits{MaxQueued: 256 << 10}
	server, client := pair(t, &engine.Server{Limits: limits}, &engine.DialOptions{Limits: limits})
	var wg sync.WaitGroup
	patient := soon(t)
	for _, c := range []*pull.Conn{server, client} {
		wg.Go(func() {
			p := make([]byte, size)
			for n := range messages {
				binary.BigEndian.PutUint64(p, uint64(n))
				if err := c.Write(patient, engine.Binary, p); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for n := range messages {
				_, data, err := c.Read(patient)
				if err != nil || len(data) != size || binary.BigEndian.Uint64(data) != uint64(n) {
					t.Errorf("message %d: %d bytes, %v", n, len(data), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// While less than MaxWaiting waits, pings are answered and a close is seen, though
// nobody reads.
func TestControlFramesNeedNoReader(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	send(t, client, string(make([]byte, pull.MaxWaiting/2)))
	send(t, client, "unread")
	for range 3 {
		if err := errors.Join(client.Ping(soon(t)), server.Ping(soon(t))); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(soon(t), 4000, ""); err != nil {
		t.Fatal(err)
	}
	within(t, "the end", server.Context().Done())
}

// Once MaxWaiting waits they need one, and come when there is one.
func TestControlFramesWaitBehindWhatIsNotRead(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	for range 100 {
		send(t, client, string(make([]byte, pull.MaxWaiting/10)))
	}
	interrupt(t, client.Ping)
	go func() {
		for range 100 {
			_, _, _ = server.Read(context.Background())
		}
	}()
	if err := client.Ping(soon(t)); err != nil {
		t.Fatal(err)
	}
}
