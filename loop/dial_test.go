package loop

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// dialTo dials addr with s and waits for OnOpen.
func dialTo(t *testing.T, g *Group, addr net.Addr, cfg DialConfig, s *scripted) {
	t.Helper()
	if err := g.Dial(addr, s, cfg); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.open:
	case err := <-s.closed:
		t.Fatalf("OnClose(%v) instead of OnOpen", err)
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

// closedPort returns an address that nobody listens on, nor can until the end of
// the test: a connection has it.
func closedPort(t *testing.T) net.Addr {
	t.Helper()
	_, out := tcpPair(t)
	return out.LocalAddr()
}

func TestDialedConnectionIsServedLikeAnAcceptedOne(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Loops: 2, Backend: b})
		ln := listenEcho(t, g)
		path := socketPath(t)
		nl, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Serve(nl, ListenConfig{Accept: func(*Loop) Handler { return newEcho() }}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []struct{ addr, local net.Addr }{
			{ln.Addr(), nil},
			{ln.Addr(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}},
			{&net.UnixAddr{Name: path, Net: "unix"}, nil},
			{&net.UnixAddr{Name: path, Net: "unix"}, &net.UnixAddr{Name: socketPath(t), Net: "unix"}},
		} {
			s := newScripted()
			got := make(chan string, 8)
			s.onOpen = func(s *scripted) { _ = s.Write([]byte("hello"), nil) }
			s.onData = func(_ *scripted, b []byte) { got <- string(b) }
			dialTo(t, g, to.addr, DialConfig{Local: to.local}, s)
			if msg := receive(t, got); msg != "hello" {
				t.Errorf("got %q back", msg)
			}
			if local, ok := to.local.(*net.TCPAddr); ok {
				if a := s.LocalAddr().(*net.TCPAddr); !a.IP.Equal(local.IP) {
					t.Errorf("connected from %v, not %v", a, local)
				}
			}
			s.Close(CloseNow)
			receive(t, s.closed)
			s.checkOrder(t)
		}
	})
}

func TestDialToAClosedPortEndsInConnectionRefused(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		s.onOpen = func(*scripted) { t.Error("OnOpen of a connection that was refused") }
		if err := g.Dial(closedPort(t), s, DialConfig{}); err != nil {
			t.Fatal(err)
		}
		wantErr(t, receive(t, s.closed), syscall.ECONNREFUSED)
		s.checkOrder(t)
		if n := g.Conns(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func TestDialThatCannotBeginEndsInOnClose(t *testing.T) {
	g := start(t, Config{})
	nobody := closedPort(t)
	open := len(descriptors())
	for _, to := range []struct{ addr, local net.Addr }{
		{&net.TCPAddr{Port: 1}, nil}, // no IP address
		{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, nil},
		{&net.UnixAddr{Name: socketPath(t), Net: "unix"}, nil},
		{nobody, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}, // not an address of this machine
	} {
		s := newScripted()
		if err := g.Dial(to.addr, s, DialConfig{Local: to.local}); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, s.closed); err == nil {
			t.Errorf("%v: OnClose without a reason", to.addr)
		}
		if now, ok := descriptorsFallTo(open); !ok {
			t.Errorf("%v: %d descriptors were open before it, now %v", to.addr, open, now)
		}
		s.checkOrder(t)
		wantErr(t, s.Write(nil, []byte("late")), ErrClosed)
		s.Close(CloseNow)
	}
}

// Until a dialed connection is open, what is asked of it waits.
func TestWritesBeforeOpenAreSentAfterIt(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		ln := listenEcho(t, g)
		s := newScripted()
		dialed := g.now()
		order := make(chan string, 8)
		s.onOpen = func(s *scripted) {
			if d := s.Stalled(); d > g.now()-dialed {
				t.Errorf("stalled for %v, dialed %v ago", d, g.now()-dialed)
			}
			order <- "open"
			_ = s.Write(nil, []byte("3"))
		}
		s.onNotify = func(*scripted) { order <- "notify" }
		var echoed []byte
		s.onData = func(s *scripted, b []byte) {
			if echoed = append(echoed, b...); len(echoed) == 3 {
				order <- string(echoed)
			}
		}
		stuck, free := make(chan struct{}), make(chan struct{})
		if err := g.Loops()[0].Do(func() { close(stuck); <-free }); err != nil {
			t.Fatal(err)
		}
		receive(t, stuck)
		if err := g.Dial(ln.Addr(), s, DialConfig{}); err != nil {
			t.Fatal(err)
		}
		s.Notify()
		s.PauseRead()
		s.ResumeRead()
		if err := s.Write([]byte("1"), []byte("2")); err != nil {
			t.Fatal(err)
		}
		if s.RemoteAddr() != nil {
			t.Error("an address before the connection is open")
		}
		close(free)
		for _, want := range []string{"open", "notify", "123"} {
			if got := receive(t, order); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func TestCloseBeforeTheLoopHasSeenADial(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		ln := listenEcho(t, g)
		s := newScripted()
		onLoop(t, g.Loops()[0], func() {
			if err := g.Dial(ln.Addr(), s, DialConfig{}); err != nil {
				t.Error(err)
			}
			s.Close(CloseNow)
			wantErr(t, s.Write(nil, []byte("late")), ErrClosed)
		})
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

// L07: after Stop, and during it, everything says so at once.
func TestWorkAfterStopIsRefused(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Loops: 2, Backend: b})
		ln := listenEcho(t, g)
		s := newScripted()
		serveOne(t, g, nil, s)
		stop(t, g)
		wantErr(t, receive(t, s.closed), ErrStopped)

		dialed := newScripted()
		wantErr(t, g.Dial(ln.Addr(), dialed, DialConfig{}), ErrStopped)
		wantErr(t, dialed.Write(nil, []byte("x")), ErrClosed)
		dialed.Close(CloseNow)
		dialed.Notify()
		wantErr(t, dialed.Do(func() {}), ErrClosed)
		if n := dialed.ends.Load(); n != 0 {
			t.Error("an event came though Dial returned an error")
		}

		a, peer := socketPair(t, syscall.SOCK_STREAM)
		adoptee := newScripted()
		wantErr(t, g.Adopt(a, adoptee, nil), ErrStopped)
		if _, err := a.Write([]byte("still mine")); err != nil {
			t.Errorf("a connection that was not adopted was closed: %v", err)
		}
		if _, err := io.ReadFull(peer, make([]byte, 10)); err != nil {
			t.Error(err)
		}

		second, err := g.Listen("127.0.0.1:0", ListenConfig{})
		wantErr(t, err, ErrStopped)
		if second != nil {
			t.Error("a listener came with the error")
		}
		wantErr(t, g.Loops()[0].Do(func() { t.Error("a task ran after Stop") }), ErrStopped)
		wantErr(t, s.Write(nil, []byte("x")), ErrClosed)
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if n := g.Conns(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}
