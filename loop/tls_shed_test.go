package loop

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// withClock gives the places of g a clock that the test drives, and which calls no
// relieve.
func withClock(g *Group) (clock *atomic.Int64) {
	clock = new(atomic.Int64)
	g.places.longWait = time.Hour
	g.places.now = func() time.Duration { return time.Duration(clock.Load()) }
	return clock
}

func handshakesHolding(g *Group) int {
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	return g.places.holders.Len()
}

// helloOnly returns a connection whose peer sends its ClientHello and no more, when
// the server waits for it or it queues.
func helloOnly(t *testing.T, g *Group, server *tls.Config, hello []byte) (*scripted, *net.TCPConn) {
	t.Helper()
	before := handshakesHolding(g) + handshakesWaiting(g)
	s := newEcho()
	secure(s, asServer(server))
	nc := serveOne(t, g, nil, s)
	if _, err := nc.Write(hello); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return handshakesHolding(g)+handshakesWaiting(g) > before })
	return s, nc
}

func wantOpen(t *testing.T, s *scripted) {
	t.Helper()
	select {
	case err := <-s.closed:
		t.Errorf("it was closed: %v", err)
	default:
	}
}

// F-b: a handshake that waits for its peer keeps its place while nobody needs it,
// and loses it to one that queues: the one that waits longest, and no other.
func TestThePlaceOfWhoWaitsLongestForItsPeerIsGivenToOneThatQueues(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	g := start(t, Config{MaxHandshakes: 3})
	g.places.longWait = time.Millisecond
	var waiting []*scripted
	for range 3 {
		s, _ := helloOnly(t, g, server, hello)
		waiting = append(waiting, s)
	}
	g.places.relieve()
	if n := handshakesHolding(g); n != 3 {
		t.Fatalf("%d have a place while nobody queues", n)
	}
	for i, s := range waiting {
		honest := newEcho()
		roundTrip(t, serveTLS(t, g, nil, honest, server, client), "served")
		honest.Close(CloseNow)
		receive(t, honest.closed)
		if i > 0 {
			break // there was a place
		}
		if err := receive(t, s.closed); !errors.Is(err, ErrHandshakeShed) {
			t.Errorf("OnClose said %v", err)
		}
		s.checkOrder(t)
	}
	for _, s := range waiting[1:] {
		wantOpen(t, s)
		s.Close(CloseNow)
		receive(t, s.closed)
	}
	eventually(t, "all places are free", func() bool { return placesTaken(g) == 0 && handshakesHolding(g) == 0 })
}

// Nobody loses its place before it has waited long.
func TestAPlaceIsKeptForAWhile(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	g := start(t, Config{MaxHandshakes: 1})
	clock := withClock(g)
	holder, _ := helloOnly(t, g, server, hello)
	queued, _ := helloOnly(t, g, server, hello)
	clock.Store(int64(time.Hour - 1))
	g.places.relieve()
	if n := handshakesWaiting(g); n != 1 {
		t.Fatalf("%d queue", n)
	}
	wantOpen(t, holder)
	clock.Store(int64(time.Hour))
	g.places.relieve()
	if err := receive(t, holder.closed); !errors.Is(err, ErrHandshakeShed) {
		t.Errorf("OnClose said %v", err)
	}
	if n := g.HandshakesShed(); n != 1 {
		t.Errorf("%d are counted", n)
	}
	eventually(t, "the other has the place", func() bool { return handshakesHolding(g) == 1 })
	wantOpen(t, queued)
	queued.Close(CloseNow)
	receive(t, queued.closed)
}

// F-b: who answers a byte now and then has waited as long as one that is silent.
func TestBytesOfAnAnswerDoNotMakeAWaitNew(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	g := start(t, Config{MaxHandshakes: 2})
	clock := withClock(g)
	drips, nc := helloOnly(t, g, server, hello)
	clock.Add(1)
	quiet, _ := helloOnly(t, g, server, hello)
	for _, b := range []byte{20, 3, 3} { // of a record that change_cipher_spec is in
		clock.Add(1)
		before := g.loops[0].Counters().BytesIn
		if _, err := nc.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is taken, and waits again", func() bool {
			g.turns.mu.Lock()
			defer g.turns.mu.Unlock()
			drips.Lock()
			defer drips.Unlock()
			return g.loops[0].Counters().BytesIn > before && len(drips.tls.handshake.in) == 0 && g.turns.taken == 0
		})
	}
	queued, _ := helloOnly(t, g, server, hello)
	clock.Store(int64(time.Hour))
	g.places.relieve()
	if err := receive(t, drips.closed); !errors.Is(err, ErrHandshakeShed) {
		t.Errorf("OnClose said %v", err)
	}
	for _, s := range []*scripted{quiet, queued} {
		wantOpen(t, s)
		s.Close(CloseNow)
		receive(t, s.closed)
	}
}

// F-b: the first in the queue goes first, until it has waited long: then the
// newest and the first take turns.
func TestEveryOtherPlaceGoesToTheNewestUnderOverload(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	for _, overloaded := range []bool{false, true} {
		g := start(t, Config{MaxHandshakes: 1})
		clock := withClock(g)
		holder, _ := helloOnly(t, g, server, hello)
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		for i := range 4 {
			s := newEcho()
			handshakeOver := secure(s, func(s *scripted, done func()) {
				s.StartTLSServer(server, nil, func() {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					done()
				})
			})
			nc := serveOne(t, g, nil, s)
			all.Go(func() {
				if err := tls.Client(nc, client).Handshake(); err != nil {
					t.Error(err)
				}
				<-handshakeOver
				s.Close(CloseNow)
				<-s.closed
			})
			eventually(t, "it queues", func() bool { return handshakesWaiting(g) == i+1 })
		}
		want := []int{0, 1, 2, 3}
		if overloaded {
			clock.Store(int64(time.Hour + 1))
			want = []int{3, 0, 2, 1}
		}
		holder.Close(CloseNow)
		receive(t, holder.closed)
		all.Wait()
		for i := range want {
			if order[i] != want[i] {
				t.Errorf("overloaded %t: served in the order %d", overloaded, order)
				break
			}
		}
	}
}

// F-b, the client's side: a server that keeps one waiting does not keep out those
// that are dialed after it, and is not given up for them.
func TestAClientThatWaitsForItsServerLendsItsPlace(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	serving := start(t, Config{})
	ln := listen(t, serving, nil, func(*Loop) Handler {
		s := newEcho()
		secure(s, asServer(server))
		return s
	})
	g := start(t, Config{MaxHandshakes: 1})
	g.places.longWait = time.Millisecond
	dial := func(addr net.Addr) (*scripted, <-chan struct{}) {
		s := newScripted()
		handshakeOver := secure(s, asClient(client))
		if err := g.Dial(addr, s, DialConfig{}); err != nil {
			t.Fatal(err)
		}
		return s, handshakeOver
	}
	waits, late := dial(mute.Addr())
	eventually(t, "it waits", func() bool { return handshakesHolding(g) == 1 })
	for range 3 {
		s, handshakeOver := dial(ln.Addr())
		receive(t, handshakeOver)
		s.Close(CloseNow)
		receive(t, s.closed)
	}
	wantOpen(t, waits)
	nc, err := mute.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := tls.Server(nc, server).Handshake(); err != nil {
		t.Fatal(err)
	}
	receive(t, late)
	waits.Close(CloseNow)
	receive(t, waits.closed)
	eventually(t, "all places are free", func() bool { return placesTaken(g) == 0 && handshakesHolding(g) == 0 })
}

// F-b: a handshake that computes keeps its place: only what its peer lets it wait
// counts.
func TestAHandshakeThatComputesKeepsItsPlace(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	server.ClientAuth = tls.RequireAnyClientCert
	client.Certificates = []tls.Certificate{authority().client}
	asked, answer := make(chan struct{}), make(chan struct{})
	slow := server.Clone()
	slow.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error {
		close(asked)
		<-answer
		return nil
	}
	g := start(t, Config{MaxHandshakes: 1})
	clock := withClock(g)
	s := newEcho()
	secure(s, asServer(slow))
	peer := tls.Client(serveOne(t, g, nil, s), client)
	handshakeOver := make(chan error, 1)
	go func() { handshakeOver <- peer.Handshake() }()
	receive(t, asked)
	queued, _ := helloOnly(t, g, server, captureHello(t, client))
	clock.Store(int64(10 * time.Hour))
	g.places.relieve()
	if n := handshakesWaiting(g); n != 1 {
		t.Errorf("%d queue: the place was taken away", n)
	}
	close(answer)
	if err := receive(t, handshakeOver); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, peer, "served")
	for _, s := range []*scripted{s, queued} {
		s.Close(CloseNow)
		receive(t, s.closed)
	}
	wantIdle(t, g)
}
