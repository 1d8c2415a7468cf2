package engine_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// budgetCase watches a server that is not to hold more than its budget.
type budgetCase struct {
	t      *testing.T
	srv    *engine.Server
	before uint64 // bytes of the heap
	shed   atomic.Int64
}

func newBudgetCase(t *testing.T, srv *engine.Server) *budgetCase {
	b := &budgetCase{t: t, srv: srv}
	srv.Callbacks.OnError = func(_ *engine.WebSocket, err error) {
		if errors.Is(err, engine.ErrOverload) {
			b.shed.Add(1)
		}
	}
	return b
}

// begin takes what the heap holds now as what the budget is not for.
func (b *budgetCase) begin() { b.before, _ = liveHeap() }

// check wants the heap to be within the budget and a fifth of it.
func (b *budgetCase) check() {
	b.t.Helper()
	const aside = 1 << 20 // what else happens in the process, and what a loop may hold uncounted
	after, _ := liveHeap()
	if grown := int(after) - int(b.before); grown > b.srv.Limits.MaxMemory*6/5+aside && !raceEnabled {
		b.t.Fatalf("the heap grew by %d bytes, the budget is %d; the ledger has %d, %d connections were shed",
			grown, b.srv.Limits.MaxMemory, heldBy(b.srv), b.shed.Load())
	}
}

// U04, R-c: messages of one byte to subscribers that stall.
func TestTinyMessagesToStalledSubscribersStayUnderTheBudget(t *testing.T) {
	b := newBudgetCase(t, &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 4 << 20}})
	_, sockets := stalledRoom(t, b.srv, 20)
	b.begin()
	for i := 0; b.shed.Load() == 0; i++ {
		if _, err := b.srv.Publish("room", engine.TextMessage("*")); err != nil && !errors.Is(err, engine.ErrBackpressure) {
			t.Fatal(err)
		}
		if i%10_000 == 0 {
			b.check()
		}
		if i == 1_000_000 {
			t.Fatal("nobody is shed")
		}
	}
	b.check()
	eventually(t, "those that were shed are gone", func() bool {
		gone := 0
		for _, ws := range sockets {
			if errors.Is(ws.Err(), engine.ErrOverload) {
				gone++
			}
		}
		st := b.srv.Stats()
		return st.Ended[engine.CauseOverload] == uint64(gone) && st.Connections == len(sockets)-gone
	})
	if st := b.srv.Stats(); st.Ended[engine.CauseSlow] != 0 || st.HeldBytes > st.Budget {
		t.Errorf("%+v", st)
	}
}

// U05, R-d: what is published to many topics while their loop is held up. What was
// taken is delivered, what was refused is told.
func TestPublishesToAHeldUpLoopStayUnderTheBudget(t *testing.T) {
	const topics, each, size = 150, 20, 64 << 10
	b := newBudgetCase(t, &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 8 << 20}})
	var missed atomic.Uint64
	b.srv.Callbacks.OnGap = func(_ *engine.WebSocket, _ string, n uint64) { missed.Add(n) }
	joined := make(chan *engine.WebSocket, 1)
	b.srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		for i := range topics {
			if err := ws.Subscribe(fmt.Sprint("topic ", i)); err != nil {
				t.Error(err)
			}
		}
		joined <- ws
	}
	c := openRaw(t, listen(t, b.srv))
	ws := within(t, "OnUpgrade", joined)
	release := sync.OnceFunc(hold(t, ws))
	defer release()
	b.begin()
	body, queued, refused := pattern(size), 0, uint64(0)
	for range each {
		for i := range topics {
			d, err := b.srv.Publish(fmt.Sprint("topic ", i), engine.BinaryMessage(body))
			switch {
			case err == nil && d.Queued == 1:
				queued++
			case errors.Is(err, engine.ErrBackpressure) && d.Dropped == 1:
				refused++
			default:
				t.Fatalf("%+v, %v", d, err)
			}
		}
	}
	b.check()
	if n := b.srv.Limits.MaxMemory / 2 / size; queued < n*4/5 || queued > n { // the other half is for queues
		t.Errorf("%d messages were taken, want nearly %d", queued, n)
	}
	st, m := b.srv.Stats(), b.srv.Memory()
	if held := queued * size; st.PendingBytes < held || st.HeldBytes < held || m.SharedFrames < held {
		t.Errorf("%d bytes wait: %+v, %+v", held, st.LoopStats, m)
	}
	release()
	for range queued {
		if _, _, err := c.readFrame(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "what was refused is told", func() bool { return missed.Load() == refused })
	eventually(t, "nothing waits", func() bool { return heldBy(b.srv) == 0 && b.srv.Stats().PendingBytes == 0 })
	if b.shed.Load() != 0 {
		t.Error("somebody was dropped who read everything")
	}
}

// A topic's delay is nobody's fault: when the budget is spent by what waits for it,
// publishes are refused, and nobody is dropped.
func TestDelayedPublishesThatSpendTheBudgetDropNobody(t *testing.T) {
	b := newBudgetCase(t, &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 2 << 20}})
	r := openRoom(t, b.srv)
	c, ws := r.join()
	b.srv.Topic("room").FlushEvery(time.Hour)
	queued := 0
	for ; ; queued++ {
		if _, err := b.srv.Publish("room", engine.BinaryMessage(pattern(10_000))); errors.Is(err, engine.ErrBackpressure) {
			break
		}
		if queued > 1000 {
			t.Fatal("nothing is refused")
		}
	}
	for range 100 { // as long as relief would take
		flushed(t, ws)
	}
	b.srv.Topic("room").FlushEvery(0)
	for range queued {
		if _, _, err := c.readFrame(); err != nil {
			t.Fatalf("%v, %v", err, ws.Err())
		}
	}
}

// U08: messages that are not finished. Those who sent most of one go first.
func TestUnfinishedMessagesStayUnderTheBudget(t *testing.T) {
	const senders, part = 100, 500_000
	b := newBudgetCase(t, &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 8 << 20}, Callbacks: echo})
	r := openRoom(t, b.srv)
	var peers []*rawClient
	var sockets []*engine.WebSocket
	for range senders {
		c, ws := r.join()
		peers, sockets = append(peers, c), append(sockets, ws)
	}
	honest, _ := r.join()
	settled(t, sockets)
	b.begin()
	small := peers[0]
	small.send(declared(0x82, 1<<20) + string(pattern(1000)))
	for _, c := range peers[1:] {
		_, _ = c.Write([]byte(declared(0x82, 1<<20))) // it may have been shed
		for range 10 {
			_, _ = c.Write(pattern(part / 10))
		}
		honest.exchange("still there?")
		b.check()
	}
	eventually(t, "enough are shed", func() bool {
		st := b.srv.Stats()
		return st.HeldBytes <= st.Budget && b.shed.Load() > senders/2
	})
	if err := sockets[0].Err(); err != nil {
		t.Errorf("who had sent least was dropped: %v", err)
	}
	if st := b.srv.Stats(); st.HeldBytes < st.Budget/2 {
		t.Errorf("more was dropped than needed: %d bytes of %d are held", st.HeldBytes, st.Budget)
	}
	slices.Reverse(peers) // all of them live until here
}

// While the budget is spent, those who read get everything.
func TestRelievedServerServesThoseWhoRead(t *testing.T) {
	const messages, size = 2000, 10_000
	log, book := newLog()
	b := newBudgetCase(t, &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 2 << 20}, Logger: log})
	r, _ := stalledRoom(t, b.srv, 5)
	c, ws := r.join()
	for i := range uint32(messages) {
		if _, err := b.srv.Publish("room", engine.BinaryMessage(numbered(i, size))); err != nil {
			t.Fatal(err)
		}
		c.wantNumbered(i, size)
	}
	if ws.Err() != nil || b.shed.Load() != 5 {
		t.Errorf("%d were shed, want the 5 that stall; the reader ended with %v", b.shed.Load(), ws.Err())
	}
	if n := book.count("Limits.MaxMemory is spent"); n == 0 || n > 2 { // a line a second
		t.Errorf("it is logged %d times", n)
	}
}

// Until relief has chosen who is dropped, a slow subscriber misses what is published,
// whatever its policy: SlowClose closes nobody for what others hold.
func TestSlowSubscribersMissWhatIsPublishedWhileTheBudgetIsSpent(t *testing.T) {
	needs(t, fullSockets)
	for _, policy := range []engine.SlowPolicy{engine.SlowClose, engine.SlowDropNewest, engine.SlowDropOldest, engine.SlowConflate} {
		t.Run(fmt.Sprint("policy ", policy), func(t *testing.T) {
			gaps := make(chan uint64, 10)
			srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxMemory: 2 << 20}, Slow: engine.Slow{Policy: policy}}
			srv.Callbacks.OnGap = func(_ *engine.WebSocket, _ string, n uint64) { gaps <- n }
			r := openRoom(t, srv)
			c, small := r.joinNarrow()
			for small.Buffered() == 0 {
				if err := small.SendBinary(pattern(32 << 10)); err != nil {
					t.Fatal(err)
				}
			}
			r.publish("before", queued(1))
			flushed(t, small)
			_, large := r.joinNarrow()
			if err := large.Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
			release := engine.Hold(srv)
			for err := error(nil); !errors.Is(err, engine.ErrBackpressure); {
				if err = large.SendBinary(pattern(32 << 10)); err != nil && !errors.Is(err, engine.ErrBackpressure) {
					t.Fatal(err)
				}
			}
			for range 3 {
				r.publish("missed", engine.Delivery{Dropped: 1})
			}
			release()
			within(t, "the end of who holds most", large.Done())
			eventually(t, "what is left is sent", func() bool {
				_, _, err := c.readFrame()
				if err != nil {
					t.Fatalf("%v, %v", err, small.Err())
				}
				return small.Buffered() == 0
			})
			if n := within(t, "OnGap", gaps); n != 3 {
				t.Errorf("OnGap told of %d messages, want 3", n)
			}
		})
	}
}

// dispatched is a server whose only worker blocks until going is closed, and a
// function that has a client leave messages of n bytes together to it.
func dispatched(t *testing.T, budget int) (b *budgetCase, addr string, going chan struct{}, leave func(n int) *rawClient) {
	going = make(chan struct{})
	b = newBudgetCase(t, &engine.Server{
		Loops: 1, Limits: engine.Limits{MaxMemory: budget},
		Dispatch:  &engine.Dispatch{Workers: 1, MaxWaiting: 100_000, MaxWaitingBytes: 100 << 20},
		Callbacks: engine.Callbacks{OnBinary: func(ws *engine.WebSocket, p []byte) { <-going; _ = ws.SendBinary(p) }},
	})
	addr = listen(t, b.srv)
	return b, addr, going, func(n int) *rawClient {
		c := openRaw(t, addr)
		before := b.srv.Stats().MessagesIn
		for sent := 0; sent < n; sent += 10_000 {
			_, _ = io.WriteString(c.Conn, testkit.Masked(engine.Binary, string(pattern(10_000)))) // it may have been dropped
		}
		eventually(t, "they are received", func() bool { return b.srv.Stats().MessagesIn-before >= uint64(n/10_000) || b.shed.Load() > 0 })
		return c
	}
}

// What a connection that is dropped for the budget left to the workers is given up
// with it.
func TestOverloadGivesUpWhatWaitsForAWorker(t *testing.T) {
	b, _, going, leave := dispatched(t, 2<<20)
	defer close(going)
	leave(1_000_000)
	leave(1_500_000)
	eventually(t, "the larger one is dropped, and what it left", func() bool {
		st := b.srv.Stats()
		return st.Ended[engine.CauseOverload] == 1 && st.Connections == 1 && st.HeldBytes < 1_100_000
	})
}

// What connections left to the workers in order is not given up, and nobody is
// dropped for it.
func TestWhatEndedConnectionsLeftDropsNobodyElse(t *testing.T) {
	b, addr, going, leave := dispatched(t, 2<<20)
	release := sync.OnceFunc(func() { close(going) })
	defer release()
	for range 4 {
		c := leave(450_000)
		c.send(testkit.Masked(codec.Close, "\x03\xe8"))
		_, _ = c.readClose()
		_ = c.Close()
	}
	eventually(t, "they have ended", func() bool { return b.srv.Stats().Connections == 0 })
	c := openRaw(t, addr)
	message := testkit.Masked(engine.Binary, string(pattern(600_000)))
	c.send(message[:500_000])
	eventually(t, "the budget is spent", func() bool { st := b.srv.Stats(); return st.HeldBytes > st.Budget })
	relieved := make(chan struct{})
	b.srv.Each(func(ws *engine.WebSocket) {
		engine.Relieve(b.srv, ws, 1000)
		close(relieved)
	})
	within(t, "relief", relieved)
	if st := b.srv.Stats(); st.Ended[engine.CauseOverload] > 0 || st.HeldBytes <= st.Budget {
		t.Errorf("%+v", st)
	}
	release()
	c.send(message[500_000:])
	c.wantMessage(engine.Binary, string(pattern(600_000)))
}
