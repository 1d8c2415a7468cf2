package loop

import (
	"crypto/tls"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shakeMany makes n handshakes with g at a time.
func shakeMany(t *testing.T, g *Group, n int, server, client *tls.Config) {
	t.Helper()
	ln := listen(t, g, nil, func(*Loop) Handler {
		s := newEcho()
		secure(s, asServer(server))
		return s
	})
	var all sync.WaitGroup
	for range n {
		nc := connectTo(t, ln)
		all.Go(func() {
			peer := tls.Client(nc, client)
			if err := peer.Handshake(); err != nil {
				t.Error(err)
			}
			_ = peer.Close()
		})
	}
	all.Wait()
}

// However many handshakes are under way, few compute, and those that wait for
// their peers hold nobody up.
func TestFewHandshakesComputeAtATime(t *testing.T) {
	const limit = 2
	server, client := tlsConfigs(tls.VersionTLS13)
	var computing, most atomic.Int64
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		n := computing.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		for i := 0; i < 100 || most.Load() < limit; i++ { // the first waits for the second
			runtime.Gosched()
		}
		computing.Add(-1)
		return nil, nil
	}
	g := start(t, Config{Loops: 2})
	g.turns.limit, g.turns.stuckAfter = limit, time.Hour
	hello := captureHello(t, client)
	for range 20 { // silent ones, which take no turns
		s := newEcho()
		secure(s, asServer(server))
		if _, err := serveOne(t, g, nil, s).Write(hello); err != nil {
			t.Fatal(err)
		}
	}
	shakeMany(t, g, 50, server, client)
	if n := most.Load(); n != limit {
		t.Errorf("%d handshakes computed at a time, want %d", n, limit)
	}
	eventually(t, "no turn is taken", func() bool {
		g.turns.mu.Lock()
		defer g.turns.mu.Unlock()
		return g.turns.taken == 0 && g.turns.waiting.Len() == 0
	})
}

// A callback that blocks holds up its own handshake only.
func TestABlockedCallbackDoesNotHoldUpOtherHandshakes(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	blocking, release := server.Clone(), make(chan struct{})
	var blocked atomic.Int64
	blocking.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		blocked.Add(1)
		<-release
		return nil, nil
	}
	g := start(t, Config{})
	g.turns.limit = 1
	hello := captureHello(t, client)
	var stuck []*scripted
	for range 3 {
		s := newEcho()
		secure(s, asServer(blocking))
		if _, err := serveOne(t, g, nil, s).Write(hello); err != nil {
			t.Fatal(err)
		}
		stuck = append(stuck, s)
	}
	eventually(t, "all are stuck", func() bool { return blocked.Load() == 3 })
	shakeMany(t, g, 5, server, client)
	close(release)
	for _, s := range stuck {
		s.Close(CloseNow)
		receive(t, s.closed)
	}
	eventually(t, "all places and turns are free", func() bool {
		g.turns.mu.Lock()
		defer g.turns.mu.Unlock()
		return placesTaken(g) == 0 && g.turns.taken == 0
	})
}

// A queue that the socket takes as fast as it is encrypted does not hold the
// loop.
func TestOneFlushEncryptsNoMoreThanItsShare(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	s := newScripted()
	peer := serveTLS(t, g, nil, s, server, client)
	const size = 8 << 20
	got := make(chan int, 1)
	go func() {
		b, _ := readUntilEnd(peer)
		got <- len(b)
	}()
	shared := NewShared(make([]byte, size/8))
	before := s.loop.bytesOut.Load()
	onLoop(t, s.loop, func() {
		s.Lock()
		defer s.Unlock()
		var list []*Shared
		for range 8 {
			list = append(list, shared)
		}
		_ = s.QueueSharedLocked(list)
		s.FlushLocked()
		if n := s.loop.bytesOut.Load() - before; n > 1<<20+maxChunk {
			t.Errorf("one flush sent %d bytes", n)
		}
	})
	s.Close(CloseFlushed)
	if n := receive(t, got); n != size {
		t.Errorf("%d bytes arrived", n)
	}
	receive(t, s.closed)
	_ = peer.Close()
}

// A timer that was set for those that waited before does not hurry those that
// wait now.
func TestAnOldTimerOfTheTurnsDoesNothing(t *testing.T) {
	ts := newTurns(1, func() time.Duration { return 0 })
	ts.limit, ts.stuckAfter = 1, time.Hour
	ts.take(false)
	next := make(chan struct{})
	go func() { ts.take(false); close(next) }()
	waiting := func() int {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		return ts.waiting.Len()
	}
	eventually(t, "one waits", func() bool { return waiting() == 1 })
	ts.moveOn()
	if n := waiting(); n != 1 {
		t.Error("a turn was given besides, though nothing is stuck")
	}
	ts.give()
	receive(t, next)
	ts.give()
}

// A handshake whose peer has answered gets the next turn.
func TestAnsweredHandshakesComputeFirst(t *testing.T) {
	ts := newTurns(1, func() time.Duration { return 0 })
	ts.limit, ts.stuckAfter = 1, time.Hour
	ts.take(false)
	order := make(chan bool, 2)
	for i, answered := range []bool{false, true} {
		go func() { ts.take(answered); order <- answered }()
		eventually(t, "it waits", func() bool {
			ts.mu.Lock()
			defer ts.mu.Unlock()
			return ts.waiting.Len() == i+1
		})
	}
	for _, want := range []bool{true, false} {
		ts.give()
		if got := receive(t, order); got != want {
			t.Errorf("the turn went to one whose peer has answered: %t, want %t", got, want)
		}
	}
	ts.give()
}
