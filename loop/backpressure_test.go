package loop

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLimitRefusesAWholeWriteAndOnDrainFollows(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		drained := make(chan int, 64)
		s.onDrain = func(s *scripted) { drained <- s.Queued() }
		const limit, low = 1 << 20, 100 << 10
		peer := serveOne(t, start(t, Config{Backend: b}), &WritePolicy{Limit: limit, Low: low}, s)
		shrink(t, &s.Conn) // the kernel never takes so much that the queue is low
		free := hold(t, s.Loop())
		var taken []byte
		p := bytes.Repeat([]byte("0123456789"), 10000)
		refused := 0
		for i := 0; refused == 0; i++ {
			p[0] = byte(i)
			switch err := s.Write(nil, p); err {
			case nil:
				taken = append(taken, p...)
			case ErrBackpressure:
				refused++
				if n := s.Queued(); n > limit || n+len(p) <= limit {
					t.Errorf("refused %d bytes with %d queued and a limit of %d", len(p), n, limit)
				}
			default:
				t.Fatal(err)
			}
		}
		free()
		onLoop(t, s.Loop(), func() {})
		if len(drained) != 0 {
			t.Error("OnDrain came before the queue fell")
		}
		got := make([]byte, len(taken))
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, taken) {
			t.Error("the peer did not get what was taken, in order")
		}
		if n := receive(t, drained); n > low {
			t.Errorf("OnDrain came with %d bytes queued", n)
		}
		onLoop(t, s.Loop(), func() {})
		if len(drained) != 0 {
			t.Error("OnDrain came again though nothing was refused since")
		}
	})
}

func TestOnDrainFollowsAQueueOverHigh(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		drained := make(chan int, 64)
		s.onDrain = func(s *scripted) { drained <- s.Queued() }
		peer := serveOne(t, start(t, Config{Backend: b}), &WritePolicy{High: 64 << 10, Low: 1 << 10}, s)
		shrink(t, &s.Conn)
		for s.Queued() <= 64<<10 {
			if err := s.WriteShared(NewShared(make([]byte, 32<<10))); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		if n := receive(t, drained); n > 1<<10 {
			t.Errorf("OnDrain came with %d bytes queued", n)
		}
	})
}

func TestWriteToAnEmptyQueueIsTakenWhateverItsSize(t *testing.T) {
	s := newScripted()
	peer := serveOne(t, start(t, Config{}), &WritePolicy{Limit: 10}, s)
	shrink(t, &s.Conn)
	want := bytes.Repeat([]byte("large"), 200<<10)
	if err := s.Write(want[:3], want[3:]); err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.Write(nil, []byte("more than the limit")), ErrBackpressure)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the message arrived changed")
	}
}

// What an event has queued is no backlog: the socket was not asked yet.
func TestLimitDoesNotCountWhatTheSocketWasNotAskedToTake(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), &WritePolicy{Limit: 1000}, s)
		done := make(chan struct{})
		if err := s.Do(func() {
			defer close(done)
			for range 20 {
				if err := s.Write(nil, make([]byte, 600)); err != nil {
					t.Error(err)
				}
				if err := s.WriteShared(NewShared(make([]byte, 600))); err != nil {
					t.Error(err)
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		receive(t, done)
		if _, err := io.ReadFull(peer, make([]byte, 20*1200)); err != nil {
			t.Fatal(err)
		}
	})
}

// An OnDrain that fills the queue again, with a socket that takes it all, must
// leave room for other connections.
func TestOnDrainThatFillsTheQueueLetsOthersThrough(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		var drains atomic.Int64
		s.onDrain = func(s *scripted) {
			drains.Add(1)
			_ = s.Write(nil, []byte("again"))
		}
		peer := serveOne(t, g, &WritePolicy{High: 1}, s)
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		witness := connectTo(t, listenEcho(t, g))
		if err := s.Do(func() { _ = s.Write(nil, []byte("begin")) }); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			roundTrip(t, witness, "others")
		}
		eventually(t, "OnDrain comes again and again", func() bool { return drains.Load() > 100 })
		s.Close(CloseNow)
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

func TestStalledCountsSinceTheSocketLastTookSomething(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		if d := s.Stalled(); d != 0 {
			t.Errorf("stalled for %v with nothing queued", d)
		}
		fill(t, &s.Conn)
		eventually(t, "time passes without progress", func() bool { return s.Stalled() > 5*time.Millisecond })
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		eventually(t, "the queue is sent", func() bool { return s.Queued() == 0 })
		if d := s.Stalled(); d != 0 {
			t.Errorf("stalled for %v with nothing queued", d)
		}
	})
}

// R11: a shared payload far larger than the socket's buffer reaches everyone
// unchanged.
func TestSharedPayloadReachesEveryoneThroughTinyBuffers(t *testing.T) {
	const size = 8 << 20
	payload := make([]byte, size)
	_, _ = rand.Read(payload)
	want := sha256.Sum256(payload)
	shared := NewShared(payload)
	eachBackend(t, func(t *testing.T, b Backend) {
		clients := 100
		if raceEnabled || b == BackendNetpoll {
			clients = 20 // the same paths, and slower
		}
		g := start(t, Config{Loops: 2, Backend: b})
		accepted := make(chan *scripted, clients)
		ln := listen(t, g, nil, func(*Loop) Handler {
			s := newScripted()
			s.onOpen = func(s *scripted) { accepted <- s }
			return s
		})
		var peers []*net.TCPConn
		for range clients {
			peers = append(peers, connectTo(t, ln))
			shrink(t, &receive(t, accepted).Conn)
		}
		for _, l := range g.Loops() {
			if err := l.Do(func() {
				l.Each(func(c *Conn) {
					if err := c.WriteShared(shared); err != nil {
						t.Error(err)
					}
					c.Close(CloseFlushed)
				})
			}); err != nil {
				t.Fatal(err)
			}
		}
		var reading sync.WaitGroup
		for _, nc := range peers {
			_ = nc.SetDeadline(time.Now().Add(6 * patience)) // a gigabyte goes through two loops
			reading.Go(func() {
				h := sha256.New()
				n, err := io.Copy(h, nc)
				if err != nil || [sha256.Size]byte(h.Sum(nil)) != want {
					t.Errorf("a peer got %d of %d bytes, or others; %v", n, size, err)
				}
			})
		}
		reading.Wait()
	})
}

// R12: more buffers than one sendmsg takes.
func TestQueueOfMoreBuffersThanOneSendTakesIsFlushed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		want := fill(t, &s.Conn)
		for i := range 2000 {
			p := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, copyMax)
			if err := s.WriteShared(NewShared(p)); err != nil {
				t.Fatal(err)
			}
			want = append(want, p...)
		}
		s.mu.Lock()
		if n := len(s.out.segs) - s.out.first; n < 2000 {
			t.Errorf("only %d segments are queued", n)
		}
		s.mu.Unlock()
		s.Close(CloseFlushed)
		if got := readAll(t, peer); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes of %d, or others", len(got), len(want))
		}
	})
}

// A queue that always holds something must not remember what it has sent.
func TestQueueThatIsNeverEmptyReusesItsRoom(t *testing.T) {
	o, g := new(outbox), new(Group)
	ref := make([]byte, 100)
	o.appendRef(NewShared(ref), 0)
	for i := range 100000 {
		o.appendRef(NewShared(ref), 0)
		o.append(ref)
		o.consume(200)
		if i%3 == 0 {
			o.prepareToWait(g)
		}
	}
	if o.size != 100 || cap(o.segs) > 64 {
		t.Errorf("a queue of %d bytes has room for %d segments", o.size, cap(o.segs))
	}
	o.reset()
}

func TestOutboxKeepsOrderWhateverIsAppendedAndConsumed(t *testing.T) {
	random := newRandom(t)
	for range 200 {
		o, g := &outbox{cork: make([]byte, 0, 1<<10)}, new(Group)
		var model []byte
		var next byte
		for range 200 {
			p := make([]byte, random.IntN(600)>>(4*random.IntN(2))) // half of them are tiny
			for i := range p {
				p[i] = next
				next++
			}
			switch random.IntN(5) {
			case 0:
				if consumed(o) {
					o.append(p)
				} else {
					o.appendCorked(p)
				}
			case 1:
				o.append(p)
			case 2, 3:
				at := random.IntN(len(p) + 1)
				o.appendRef(NewShared(p), at)
				p = p[at:]
			case 4:
				o.borrow(p)
				o.prepareToWait(g)
				o.append(o.unborrow())
			}
			model = append(model, p...)
			checkLoad(t, o, g)
			if random.IntN(4) == 0 {
				o.prepareToWait(g)
				checkLoad(t, o, g)
			}
			if random.IntN(2) == 0 {
				n := random.IntN(len(model) + 1)
				if got := contents(o); !bytes.Equal(got, model) {
					t.Fatalf("the queue holds %d bytes that differ from the model's %d", len(got), len(model))
				}
				if n == len(model) { // flush releases an outbox that is empty
					o.reset()
				} else {
					o.consume(n)
				}
				model = model[n:]
			}
			if o.size != len(model) {
				t.Fatalf("size is %d, the model has %d", o.size, len(model))
			}
		}
		o.reset()
		if n := g.Shared(); n != 0 {
			t.Fatalf("an empty queue shares %d bytes", n)
		}
	}
}

// checkLoad compares what o counts with what it holds.
func checkLoad(t *testing.T, o *outbox, g *Group) {
	t.Helper()
	chunks, referred := 0, 0
	for i, s := range o.segs[o.first:] {
		if s.chunk != nil {
			chunks += cap(s.chunk.b)
		}
		if s.shared != nil && o.first+i < o.prepared {
			referred += s.shared.Cost()
		}
	}
	if o.chunks != chunks || o.referred != referred || g.Shared() != referred {
		t.Fatalf("counted are %d bytes of chunks, %d of references, %d shared; it holds %d and %d",
			o.chunks, o.referred, g.Shared(), chunks, referred)
	}
}

// consumed says whether part of the cork's own bytes is sent: then the loop
// keeps the rest elsewhere and appends to the cork no more.
func consumed(o *outbox) bool {
	return len(o.cork) > 0 && (o.first > 0 || len(o.segs[0].b) != len(o.cork) || &o.segs[0].b[0] != &o.cork[0])
}

func contents(o *outbox) (b []byte) {
	for _, s := range o.segs[o.first:] {
		b = append(b, s.b...)
	}
	return b
}
