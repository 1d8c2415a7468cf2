package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func placesTaken(g *Group) int {
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	return g.places.taken
}

func handshakesWaiting(g *Group) int {
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	return g.places.queue.Len()
}

// Handshakes beyond the limit queue with their ClientHello, read little more, and
// run when a deadline of the handler makes room.
func TestHandshakesBeyondTheLimitQueue(t *testing.T) {
	const limit = 3
	server, client := tlsConfigs(tls.VersionTLS13)
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{MaxHandshakes: limit, Backend: b})
		g.places.longWait = time.Hour
		serve := func(onTimer func(*scripted)) (*scripted, *net.TCPConn) {
			s := newEcho()
			s.onTimer = onTimer
			secure(s, asServer(server))
			return s, serveOne(t, g, nil, s)
		}
		var silent []*scripted
		hello := captureHello(t, client)
		for range limit {
			s, nc := serve(func(s *scripted) { s.Close(CloseNow) })
			if _, err := nc.Write(hello); err != nil {
				t.Fatal(err)
			}
			silent = append(silent, s)
		}
		read := func() (n uint64) {
			for _, l := range g.Loops() {
				n += l.Counters().BytesIn
			}
			return n
		}
		eventually(t, "the silent ones have all places", func() bool {
			return placesTaken(g) == limit && read() == uint64(limit*len(hello))
		})
		gone, leaver := serve(nil)
		_, _ = leaver.Write(hello)
		waiting, nc := serve(nil)
		peer := tls.Client(nc, client)
		handshakeOver := make(chan error, 1)
		go func() { handshakeOver <- peer.Handshake() }()
		eventually(t, "two wait", func() bool { return handshakesWaiting(g) == 2 })
		go func() { _, _ = leaver.Write(make([]byte, 8<<20)) }()
		eventually(t, "reading pauses", func() bool {
			gone.Lock()
			defer gone.Unlock()
			return gone.want&readable == 0
		})
		gone.Lock()
		if n := len(gone.tls.handshake.in); n > maxHandshake {
			t.Errorf("%d bytes are held for a handshake that waits", n)
		}
		gone.Unlock()
		gone.Close(CloseNow)
		if err := receive(t, gone.closed); err != nil {
			t.Error(err)
		}
		if n := handshakesWaiting(g); n != 1 {
			t.Errorf("%d wait after one has left", n)
		}
		for _, s := range silent {
			_ = s.Do(func() { s.SetTimer(time.Millisecond) })
			if err := receive(t, s.closed); err != nil {
				t.Error(err)
			}
			s.checkOrder(t)
		}
		if err := receive(t, handshakeOver); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, peer, "served")
		waiting.Close(CloseFlushed)
		receive(t, waiting.closed)
		eventually(t, "all places are free", func() bool { return placesTaken(g) == 0 })
	})
}

// R15: 5000 ClientHellos, then silence. Others are served meanwhile, memory
// stays bounded, and at the deadline every place is free again.
func TestClientHellosThatAreNotFollowedHoldNothingForLong(t *testing.T) {
	silent := 5000
	if raceEnabled {
		silent = 1000
	}
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{Loops: 2, MaxHandshakes: 200})
	g.places.longWait = time.Hour
	var ended atomic.Int64
	expire := make(chan struct{})
	watch := func(s *scripted) { s.SetTimer(200 * time.Millisecond) }
	ln := listen(t, g, nil, func(*Loop) Handler {
		s := newEcho()
		s.onTimer = func(s *scripted) {
			select {
			case <-expire:
				s.Close(CloseNow)
			default:
				watch(s)
			}
		}
		s.onClose = func(*scripted, error) { ended.Add(1) }
		secure(s, func(s *scripted, done func()) {
			select {
			case <-expire: // who comes after the silent ones has time
			default:
				watch(s)
			}
			s.StartTLSServer(server, nil, done)
		})
		return s
	})
	witness := connectTo(t, listenEcho(t, g))
	hello := captureHello(t, client)
	peers := make([]net.Conn, 0, silent)
	defer func() {
		for _, nc := range peers {
			_ = nc.Close()
		}
	}()
	for i := range silent {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(hello); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, nc)
		if i%100 == 0 {
			roundTrip(t, witness, "still served")
		}
	}
	eventually(t, "all are there", func() bool { return g.Conns() == silent+1 })
	eventually(t, "the rest waits", func() bool { return handshakesWaiting(g) == silent-200 })
	roundTrip(t, witness, "still served")
	var m runtime.MemStats
	runtime.GC() // of what other tests have left
	runtime.ReadMemStats(&m)
	if used := m.HeapAlloc + m.StackInuse; used > 100<<20 {
		t.Errorf("%d MiB are in use", used>>20)
	}
	close(expire)
	eventually(t, "all have ended", func() bool { return ended.Load() == int64(silent) })
	eventually(t, "all places are free", func() bool { return placesTaken(g) == 0 && handshakesWaiting(g) == 0 })
	peer := tls.Client(connectTo(t, ln), client)
	roundTrip(t, peer, "served again")
	_ = peer.Close()
}

// What the peer sends before its handshake is looked at stays bounded here.
func TestBytesBeforeTheHandshakeAreBounded(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	block, blocked := make(chan struct{}), make(chan struct{}, 1)
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		blocked <- struct{}{}
		<-block
		return nil, nil
	}
	g := start(t, Config{})
	s := newScripted()
	secure(s, asServer(server))
	nc := serveOne(t, g, nil, s)
	if _, err := nc.Write(captureHello(t, client)); err != nil {
		t.Fatal(err)
	}
	receive(t, blocked)
	go func() { _, _ = nc.Write(make([]byte, 8<<20)) }()
	eventually(t, "reading pauses", func() bool {
		s.Lock()
		defer s.Unlock()
		return s.want&readable == 0
	})
	for range 20 {
		onLoop(t, g.Loops()[0], func() {})
	}
	s.Lock()
	if n := len(s.tls.handshake.in); n > maxHandshake {
		t.Errorf("%d bytes wait for the handshake", n)
	}
	s.Unlock()
	s.Close(CloseNow)
	if err := receive(t, s.closed); err != nil {
		t.Error(err)
	}
	close(block)
	eventually(t, "the place is free", func() bool { return placesTaken(g) == 0 })
}

// The end of the connection is told to callbacks that wait.
func TestTheEndOfAConnectionCancelsTheContextOfItsHandshake(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	asked := make(chan context.Context, 1)
	server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		asked <- info.Context()
		<-info.Context().Done()
		return nil, info.Context().Err()
	}
	g := start(t, Config{})
	s := newScripted()
	secure(s, asServer(server))
	nc := serveOne(t, g, nil, s)
	if _, err := nc.Write(captureHello(t, client)); err != nil {
		t.Fatal(err)
	}
	receive(t, asked)
	s.Close(CloseNow)
	receive(t, s.closed)
	eventually(t, "the place is free", func() bool { return placesTaken(g) == 0 })
	s.checkOrder(t)
}

// runtime.Goexit, which t.Fatal is too, and a panic in a callback end their own
// connection, and give back the place and the turn to compute.
func TestACallbackThatEndsItsGoroutineEndsItsConnectionOnly(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	for name, end := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("a secret") }} {
		g := start(t, Config{MaxHandshakes: 1, Loops: 1})
		block := make(chan struct{})
		ending := server.Clone()
		ending.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			<-block
			end()
			return nil, nil
		}
		var ended []*scripted
		for range 2 * (g.turns.limit + 1) {
			s := newScripted()
			secure(s, asServer(ending))
			if _, err := serveOne(t, g, nil, s).Write(captureHello(t, client)); err != nil {
				t.Fatal(err)
			}
			ended = append(ended, s)
		}
		next := newEcho()
		secure(next, asServer(server))
		nc := serveOne(t, g, nil, next)
		eventually(t, "all wait for one", func() bool { return handshakesWaiting(g) == len(ended)-1 })
		close(block)
		for _, s := range ended {
			var p *PanicError
			if err := receive(t, s.closed); !errors.As(err, &p) || (name == "Goexit") != (p.Value == nil) {
				t.Errorf("%s: OnClose said %v", name, err)
			}
			s.checkOrder(t)
		}
		roundTrip(t, tls.Client(nc, client), "served")
		next.Close(CloseNow)
		receive(t, next.closed)
		eventually(t, "the place is free", func() bool { return placesTaken(g) == 0 })
		g.turns.mu.Lock()
		if n := g.turns.taken; n != 0 {
			t.Errorf("%s: %d turns are taken", name, n)
		}
		g.turns.mu.Unlock()
	}
}

// A handshake that need not wait asks the poller for nothing.
func TestAHandshakeWithAPlaceLeavesReadInterestAlone(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	g := startObserved(t, BackendDefault)
	s := newEcho()
	peer := serveTLS(t, g.Group, nil, s, server, client)
	roundTrip(t, peer, "served")
	if n := g.poller.modCount(s.descriptor()); n > 0 {
		t.Errorf("interest changed %d times", n)
	}
	s.Close(CloseNow)
	receive(t, s.closed)
}
