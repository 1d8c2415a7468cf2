package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flood has n peers send hello to ln and no more, each again as soon as it is
// closed. end ends it.
func flood(t *testing.T, ln *Listener, n int, hello []byte) (end func()) {
	var over atomic.Bool
	var all sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	attack := func() {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Error(err)
			over.Store(true)
			return
		}
		mu.Lock()
		open[nc] = true
		mu.Unlock()
		_, _ = nc.Write(hello)
		_, _ = io.Copy(io.Discard, nc)
		_ = nc.Close()
		mu.Lock()
		delete(open, nc)
		mu.Unlock()
	}
	for range n {
		all.Go(func() {
			for !over.Load() {
				attack()
			}
		})
	}
	return func() {
		over.Store(true)
		gone := make(chan struct{})
		go func() { all.Wait(); close(gone) }()
		eventually(t, "the flood is over", func() bool {
			mu.Lock()
			defer mu.Unlock()
			for nc := range open {
				_ = nc.Close()
			}
			select {
			case <-gone:
				return true
			default:
				return false
			}
		})
	}
}

// R15: peers that send a ClientHello and no more, and come again when they are
// closed, keep nobody out.
func TestClientHellosWithoutEndKeepNobodyOut(t *testing.T) {
	const limit, attackers = 20, 100
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{MaxHandshakes: limit})
	g.places.longWait = 50 * time.Millisecond
	ln := listen(t, g, nil, func(*Loop) Handler {
		s := newEcho()
		secure(s, asServer(server))
		return s
	})
	end := flood(t, ln, attackers, captureHello(t, client))
	defer end()
	eventually(t, "there is overload", func() bool { return placesTaken(g) >= limit && handshakesWaiting(g) > 0 })
	served := 0
	eventually(t, "others are served", func() bool {
		peer := tls.Client(connectTo(t, ln), client)
		defer peer.Close()
		_, _ = peer.Write([]byte("x"))
		if _, err := io.ReadFull(peer, make([]byte, 1)); err == nil { // otherwise shed: this machine is busy
			served++
		}
		return served == 20
	})
	end()
	eventually(t, "all places are free", func() bool {
		return placesTaken(g) == 0 && handshakesWaiting(g) == 0 && handshakesHolding(g) == 0
	})
}

// What ClientHellos hold that wait is bounded: those that have waited longest end.
func TestClientHellosThatWaitHoldNoMoreThanTheirLimit(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	g := start(t, Config{MaxHandshakes: 1})
	withClock(g)
	heldBytes := func() int {
		g.hellos.mu.Lock()
		defer g.hellos.mu.Unlock()
		return g.hellos.held
	}
	holder, _ := helloOnly(t, g, server, hello)
	if n := heldBytes(); n != 0 {
		t.Fatalf("one with a place holds %d bytes", n)
	}
	queued, _ := helloOnly(t, g, server, hello)
	one := heldBytes()
	if one < len(hello) {
		t.Fatalf("a ClientHello of %d bytes that queues holds %d", len(hello), one)
	}
	g.hellos.limit = 3 * one
	var halfway []*scripted
	for i := range 4 {
		s := newScripted()
		secure(s, asServer(server))
		if _, err := serveOne(t, g, nil, s).Write(hello[:len(hello)-1]); err != nil {
			t.Fatal(err)
		}
		halfway = append(halfway, s)
		eventually(t, "it is held", func() bool { return heldBytes() == min(i+2, 3)*one })
	}
	for _, s := range []*scripted{queued, halfway[0]} {
		if err := receive(t, s.closed); !errors.Is(err, ErrHandshakeShed) {
			t.Errorf("OnClose said %v", err)
		}
	}
	for _, s := range append(halfway[1:], holder) {
		wantOpen(t, s)
		s.Close(CloseNow)
		receive(t, s.closed)
	}
	if n := heldBytes(); n != 0 {
		t.Errorf("%d bytes are held by nobody", n)
	}
}
