//go:build !portable

package loop

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullBacklog listens without accepting until nobody gets through: Linux then
// leaves the connects that follow without an answer.
func fullBacklog(t *testing.T) (addr net.Addr, release func()) {
	t.Helper()
	ln, err := newSocket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(ln, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(ln)
	if err != nil {
		t.Fatal(err)
	}
	fds := []int{ln}
	for waiting, first := false, true; !waiting; first = false {
		fd, err := newSocket(unix.AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		wait := 100 * time.Millisecond
		if first { // there is room for one, however long it takes
			wait = patience
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(wait.Milliseconds()))
		if err != nil && err != unix.EINTR || first && n == 0 && err == nil {
			t.Fatal(n, err)
		}
		waiting = n == 0 && err == nil
	}
	return netAddr(sa), func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}

// silent returns an address that does not answer to a connect: its backlog is
// full.
func silent(t *testing.T) net.Addr {
	t.Helper()
	addr, release := fullBacklog(t)
	t.Cleanup(release)
	return addr
}

func TestCloseEndsAConnectUnderWay(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		addr := silent(t)
		for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed, CloseLinger} {
			s := newScripted()
			s.onOpen = func(*scripted) { t.Error("OnOpen of a connection that nobody accepted") }
			if err := g.Dial(addr, s, DialConfig{}); err != nil {
				t.Fatal(err)
			}
			onLoop(t, s.Loop(), func() {}) // the connect is under way
			s.Close(mode)
			if err := receive(t, s.closed); err != nil {
				t.Errorf("OnClose(%v) after this side closed", err)
			}
			s.checkOrder(t)
		}
	})
}

// An event of an earlier owner of a descriptor number must not open a
// connection that is not established.
func TestStaleEventDoesNotOpenADial(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		s.onOpen = func(*scripted) { t.Error("OnOpen of a connection that nobody accepted") }
		if err := g.Dial(silent(t), s, DialConfig{}); err != nil {
			t.Fatal(err)
		}
		l := s.Loop()
		onLoop(t, l, func() { l.ready(int(s.fd), writable) })
		onLoop(t, l, func() { l.ready(int(s.fd), writable|readable|hangup) })
		if s.ends.Load() != 0 {
			t.Error("a stale event ended the connect")
		}
		s.Close(CloseNow)
		receive(t, s.closed)
	})
}

// An event that a loop gets for a descriptor that another one owns is of an earlier owner
// of the number: the connection is not touched.
func TestStaleEventDoesNotReadForAnotherLoop(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b, Loops: 2, BlockedAfter: -1})
		s := newScripted()
		came := make(chan struct{}, 1)
		s.onData = func(*scripted, []byte) { came <- struct{}{} }
		peer := connectTo(t, listen(t, g, nil, func(*Loop) Handler { return s }))
		receive(t, s.open)
		holds, held := make(chan struct{}), make(chan struct{})
		if err := s.Loop().Do(func() { close(holds); <-held }); err != nil {
			t.Fatal(err)
		}
		receive(t, holds)
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is there", func() bool {
			n, err := unix.IoctlGetInt(int(s.fd), unix.TIOCINQ)
			return err == nil && n == 1
		})
		other := g.loops[1-s.Loop().Index()]
		onLoop(t, other, func() { other.ready(int(s.fd), readable) })
		select {
		case <-came:
			t.Error("a loop read what another one owns")
		default:
		}
		close(held)
		receive(t, came)
	})
}

func TestWakeAfterCloseWritesNowhere(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		p, err := newPoller(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		// These eventfds take the numbers that the poller had.
		var victims []int
		for range 4 {
			fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			victims = append(victims, fd)
		}
		p.wake()
		for _, fd := range victims {
			if _, err := unix.Read(fd, make([]byte, 8)); err != unix.EAGAIN {
				t.Errorf("descriptor %d was written to by a poller that is closed", fd)
			}
		}
	})
}

// No single system call sends more than maxSend, whatever is written: a stop
// of the world waits for it.
func TestOneSendIsCapped(t *testing.T) {
	s := newScripted()
	peer := unixPair(t, start(t, Config{}), unix.SOCK_STREAM, nil, s)
	s.mu.Lock()
	if err := unix.SetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 32<<20); err != nil {
		s.mu.Unlock()
		t.Skipf("a larger buffer needs a privilege: %v", err)
	}
	s.mu.Unlock()
	large := make([]byte, 4*maxSend)
	for name, write := range map[string]func() error{
		"head":   func() error { return s.Write(large, nil) },
		"body":   func() error { return s.Write(nil, large) },
		"shared": func() error { return s.WriteShared(NewShared(large)) },
	} {
		stuck, free := make(chan struct{}), make(chan struct{})
		if err := s.Loop().Do(func() { close(stuck); <-free }); err != nil { // nobody flushes
			t.Fatal(err)
		}
		receive(t, stuck)
		if err := write(); err != nil {
			t.Fatal(err)
		}
		if sent := len(large) - s.Queued(); sent > maxSend {
			t.Errorf("%s: one call sent %d bytes", name, sent)
		}
		close(free)
		if _, err := io.ReadFull(peer, make([]byte, len(large))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the queue is sent", func() bool { return s.Queued() == 0 })
	}
}

func TestBindLateLeavesThePortToConnect(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	for want, control := range []func(string, string, syscall.RawConn) error{nil, BindLate} {
		nc, err := (&net.Dialer{LocalAddr: local, Control: control}).Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fd, err := duplicate(nc)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT); err != nil || got != want {
			t.Errorf("IP_BIND_ADDRESS_NO_PORT is %d, %v; want %d", got, err, want)
		}
		_ = unix.Close(fd)
		_ = nc.Close()
	}
}

// A loop may hear that a connection is to be closed before it hears of the
// connection: between bind and what is posted after it.
func TestCloseBeforeTheLoopHasSeenTheConnection(t *testing.T) {
	ways := map[string]func(t *testing.T, s *scripted){
		"adopted": func(t *testing.T, s *scripted) {
			nc, peer := tcpPair(t)
			fd, err := duplicate(nc)
			if err != nil {
				t.Error(err)
			}
			_ = peer.CloseWrite() // CloseLinger waits for that
			s.adopt(fd, nil)
		},
		"dialed":       func(t *testing.T, s *scripted) { s.dial(silent(t), nil) },
		"not dialable": func(_ *testing.T, s *scripted) { s.dial(&net.TCPAddr{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) },
	}
	for name, open := range ways {
		for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed, CloseLinger} {
			g := start(t, Config{})
			s := newScripted()
			s.bind(g.Loops()[0], s, nil)
			s.Close(mode)
			onLoop(t, g.Loops()[0], func() {})
			if n := s.ends.Load(); n != 0 {
				t.Errorf("%s, mode %d: OnClose came before the connection", name, mode)
			}
			onLoop(t, g.Loops()[0], func() { open(t, s) })
			err := receive(t, s.closed)
			if (err != nil) != (name == "not dialable") {
				t.Errorf("%s, mode %d: OnClose said %v", name, mode, err)
			}
			s.checkOrder(t)
		}
	}
}
