package loop

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// tcpPair returns both ends of a connection of the net package.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	out, err := net.Dial("tcp", nl.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), out.Close() })
	return in.(*net.TCPConn), out.(*net.TCPConn)
}

// A connection goes from the net package to a loop and back, while its peer
// sends without a break.
func TestNoByteIsLostBetweenAdoptAndDetach(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		nc, peer := tcpPair(t)
		want := make([]byte, 2<<20)
		_, _ = rand.Read(want)
		go func() {
			_, _ = peer.Write(want)
			_ = peer.CloseWrite()
		}()

		got := make([]byte, 1000)
		if _, err := io.ReadFull(nc, got); err != nil {
			t.Fatal(err)
		}
		s := newScripted()
		back := make(chan net.Conn, 1)
		s.onData = func(s *scripted, b []byte) {
			if got = append(got, b...); len(got) < 200<<10 {
				return
			}
			nc, err := s.Detach()
			if err != nil {
				t.Error(err)
			}
			wantErr(t, s.Write(nil, []byte("x")), ErrClosed)
			back <- nc
		}
		if err := g.Adopt(nc, s, nil); err != nil {
			t.Fatal(err)
		}
		again := receive(t, back)
		defer again.Close()
		rest := readAll(t, again)
		if got = append(got, rest...); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes of %d, or others", len(got), len(want))
		}
		if _, err := again.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 6)
		if _, err := io.ReadFull(peer, answer); err != nil || string(answer) != "answer" {
			t.Errorf("the peer got %q, %v", answer, err)
		}
		settle(t, g.Loops()[0])
		if n := s.ends.Load(); n != 0 {
			t.Error("OnClose of a connection that was detached")
		}
		if n := g.Conns(); n != 0 {
			t.Errorf("the group counts %d connections", n)
		}
	})
}

// A duplicate that somebody still holds keeps the registration of a descriptor
// alive: it has to be taken back before the number is closed.
func TestNoEventsAfterTheEndThoughDuplicatesLive(t *testing.T) {
	ends := map[string]func(t *testing.T, s *scripted){
		"closed": func(t *testing.T, s *scripted) {
			s.Close(CloseNow)
			receive(t, s.closed)
		},
		"detached": func(t *testing.T, s *scripted) {
			onLoop(t, s.Loop(), func() {
				nc, err := s.Detach()
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(func() { _ = nc.Close() })
			})
			settle(t, s.Loop()) // the number is closed
		},
	}
	eachBackend(t, func(t *testing.T, b Backend) {
		for name, end := range ends {
			g := startObserved(t, b)
			witness := connectTo(t, listenEcho(t, g.Group))
			roundTrip(t, witness, "settled")
			s := newScripted()
			var peer net.Conn
			if name == "detached" { // what Detach returns is the duplicate
				peer = serveOne(t, g.Group, nil, s)
			} else {
				nc, other := tcpPair(t)
				f, err := nc.File()
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if err := g.Adopt(nc, s, nil); err != nil {
					t.Fatal(err)
				}
				receive(t, s.open)
				peer = other
			}
			number := s.descriptor()
			end(t, s)
			before := g.poller.readyCount(number)
			if _, err := peer.Write([]byte("to nobody")); err != nil {
				t.Fatal(err)
			}
			for range 50 {
				roundTrip(t, witness, "ping")
			}
			if n := g.poller.readyCount(number) - before; n > 0 {
				t.Errorf("%s: a descriptor that is gone was reported %d times", name, n)
			}
		}
	})
}

// A detach that fails for want of descriptors leaves the connection as it was.
func TestDetachWithoutDescriptorsKeepsTheConnection(t *testing.T) {
	needs(t, systemDescriptors)
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newEcho()
		peer := serveOne(t, g, nil, s)
		onLoop(t, g.Loops()[0], func() {
			var old unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
				t.Fatal(err)
			}
			nc, err := s.Detach()
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
				t.Fatal(err)
			}
			wantErr(t, err, syscall.EMFILE)
			if nc != nil {
				t.Error("a connection came with the error")
			}
		})
		roundTrip(t, peer, "still served")
		s.Close(CloseNow)
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

func TestDetachWaitsForTheQueue(t *testing.T) {
	g := start(t, Config{})
	s := newScripted()
	detached := make(chan net.Conn, 1)
	var filled atomic.Bool // while it is filled, the queue may be empty
	s.onDrain = func(s *scripted) {
		if !filled.Load() {
			return
		}
		nc, err := s.Detach()
		if err != nil {
			t.Error(err)
		}
		detached <- nc
	}
	peer := serveOne(t, g, &WritePolicy{High: 1}, s)
	want := fill(t, &s.Conn)
	filled.Store(true)
	onLoop(t, g.Loops()[0], func() {
		if _, err := s.Detach(); err == nil {
			t.Error("detached with bytes queued")
		}
	})
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("what was queued arrived changed: %v", err)
	}
	if err := receive(t, detached).Close(); err != nil {
		t.Error(err)
	}
}

// Whoever closes a connection may count on OnClose.
func TestDetachAfterCloseFails(t *testing.T) {
	for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed, CloseLinger} {
		g := start(t, Config{})
		s := newScripted()
		s.onEOF = func(s *scripted) { s.Close(CloseNow) }
		peer := serveOne(t, g, nil, s)
		_ = s.Do(func() {
			s.Close(mode)
			nc, err := s.Detach()
			wantErr(t, err, ErrClosed)
			if nc != nil {
				_ = nc.Close()
			}
		})
		_ = peer.CloseWrite()
		if err := receive(t, s.closed); err != nil {
			t.Errorf("mode %d: OnClose said %v", mode, err)
		}
		s.checkOrder(t)
	}
}

// What Detach returned may be adopted by another loop at once, before the one that it
// left has closed its number, with bytes that are not read and not sent yet.
func TestAdoptRightAfterDetach(t *testing.T) {
	g := start(t, Config{Loops: 2})
	first, second := newScripted(), newEcho()
	first.onOpen = func(s *scripted) { s.PauseRead() }
	peer := serveOne(t, g, nil, first)
	if _, err := peer.Write([]byte("unread")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bytes are here", func() bool { return unreadBytes(&first.Conn) == len("unread") })
	onLoop(t, first.Loop(), func() {
		nc, err := first.Detach()
		if err != nil {
			t.Error(err)
			return
		}
		if err := g.Adopt(nc, second, nil); err != nil {
			t.Error(err)
		}
		if second.Loop() != first.Loop() { // or it cannot open meanwhile
			receive(t, second.open)
		}
	})
	settle(t, first.Loop())
	got := make([]byte, len("unread"))
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != "unread" {
		t.Fatalf("got %q, %v", got, err)
	}
	roundTrip(t, peer, "still served")
	second.Close(CloseNow)
	receive(t, second.closed)
	second.checkOrder(t)
}

// A connection that was closed is refused.
func TestAdoptRefusesAClosedConnection(t *testing.T) {
	nc, _ := tcpPair(t)
	_ = nc.Close()
	if err := start(t, Config{}).Adopt(nc, newScripted(), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Adopt: %v", err)
	}
}
