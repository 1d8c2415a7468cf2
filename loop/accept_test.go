package loop

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// failAccepts makes the next n calls of accept on l fail with errno, and
// returns how many have failed.
func failAccepts(t *testing.T, l *Loop, errno syscall.Errno, n int32) *atomic.Int32 {
	t.Helper()
	var failed atomic.Int32
	onLoop(t, l, func() {
		l.accept = func(fd int) (int, error) {
			if failed.Load() < n {
				failed.Add(1)
				return -1, errno
			}
			return acceptOne(fd)
		}
	})
	return &failed
}

// R05: established connections go on, accepting resumes, and the log is not
// flooded.
func TestAcceptSurvivesEveryError(t *testing.T) {
	const failures = 6 // even: each of EMFILE is followed by one for the reserve descriptor
	for _, errno := range []syscall.Errno{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, // waiting may cure these
		unix.ECONNABORTED, unix.EPERM, unix.EPROTO, unix.EINTR, // these concern one client
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			eachBackend(t, func(t *testing.T, b Backend) {
				log, began := &record{}, time.Now()
				g := start(t, Config{Backend: b, Logger: slog.New(log), BlockedAfter: -1})
				ln := listenEcho(t, g)
				established := connectTo(t, ln)
				roundTrip(t, established, "before")
				failed := failAccepts(t, g.Loops()[0], errno, failures)
				late := connectTo(t, ln)
				roundTrip(t, established, "meanwhile")
				roundTrip(t, late, "taken in after all")
				if n := failed.Load(); n != failures {
					t.Errorf("accept failed %d times, not %d: nothing is proven", n, failures)
				}
				if n, most := log.count(), 2+int(time.Since(began).Seconds()); n > most { // one a second
					t.Errorf("%d lines were logged for %d failures, want at most %d", n, failures, most)
				}
				roundTrip(t, connectTo(t, ln), "accepting goes on")
			})
		})
	}
}

func TestListenerClosesWhileAcceptingIsPaused(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		ln := listenEcho(t, g)
		failed := failAccepts(t, g.Loops()[0], unix.EMFILE, 1<<30)
		connectTo(t, ln)
		eventually(t, "accept fails", func() bool { return failed.Load() > 0 })
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			_ = nc.Close()
			t.Error("a closed listener still listens")
		}
	})
}

// R04: one line a second, however often and on how many loops accepting fails.
func TestAcceptErrorsAreLoggedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &record{}
		g := &Group{cfg: Config{Logger: slog.New(log)}}
		a, b := &acceptor{loop: &Loop{group: g}}, &acceptor{loop: &Loop{group: g}}
		for range 1000 {
			a.log(unix.EMFILE)
			b.log(unix.EMFILE)
			time.Sleep(10 * time.Millisecond)
		}
		if n := log.count(); n != 10 {
			t.Errorf("%d lines in 10 seconds", n)
		}
	})
}

func TestConnectionWithoutHandlerIsReset(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		ln := listen(t, g, nil, func(*Loop) Handler { return nil })
		wantErr(t, firstRead(ln), syscall.ECONNRESET)
	})
}

// firstRead connects and waits for what the listener says to that.
func firstRead(ln *Listener) error {
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, err = nc.Read(make([]byte, 1))
	return err
}

// With all descriptors in use a reserve is spent to tell one client at once,
// and taken back.
func TestReserveDescriptorRefusesAtOnce(t *testing.T) {
	needs(t, systemDescriptors)
	for _, errno := range []syscall.Errno{unix.EMFILE, unix.ENFILE} {
		g := start(t, Config{})
		l := g.Loops()[0]
		ln := listenEcho(t, g)
		failAccepts(t, l, errno, 1)
		wantErr(t, firstRead(ln), io.EOF)
		onLoop(t, l, func() {
			var st unix.Stat_t
			if err := unix.Fstat(l.reserve, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
				t.Errorf("the reserve is not taken back: descriptor %d, mode %o, %v", l.reserve, st.Mode, err)
			}
		})
		roundTrip(t, connectTo(t, ln), "the next is taken in")
	}
}

func TestListeningTwiceOnOnePortIsAnError(t *testing.T) {
	for _, loops := range []int{1, 3} {
		g := start(t, Config{Loops: loops})
		ln := listenEcho(t, g)
		second, err := g.Listen(ln.Addr().String(), ListenConfig{Accept: func(*Loop) Handler { return newEcho() }})
		wantErr(t, err, unix.EADDRINUSE)
		if second != nil {
			t.Error("a listener came with the error")
		}
		other := start(t, Config{Loops: 4 - loops})
		_, err = other.Listen(ln.Addr().String(), ListenConfig{Accept: func(*Loop) Handler { return newEcho() }})
		wantErr(t, err, unix.EADDRINUSE)
		roundTrip(t, connectTo(t, ln), "the first goes on")
	}
}

func TestClosedListenerLeavesConnections(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Loops: 2, Backend: b})
		ln := listenEcho(t, g)
		nc := connectTo(t, ln)
		roundTrip(t, nc, "before")
		for range 2 {
			if err := ln.Close(); err != nil {
				t.Error(err)
			}
		}
		roundTrip(t, nc, "after")
		if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			_ = nc.Close()
			t.Error("a closed listener still listens")
		}
		again, err := g.Listen(ln.Addr().String(), ListenConfig{Accept: func(*Loop) Handler { return newEcho() }})
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, connectTo(t, again), "the port is free")
	})
}

func TestServeSpreadsConnectionsOfAForeignListener(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		for _, network := range []string{"tcp", "unix"} {
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = socketPath(t)
			}
			nl, err := net.Listen(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			g := start(t, Config{Loops: 2, Backend: b})
			accepted := make(chan *scripted, 8)
			ln, err := g.Serve(nl, ListenConfig{Accept: func(*Loop) Handler {
				s := newEcho()
				s.onOpen = func(s *scripted) { accepted <- s }
				return s
			}})
			if err != nil {
				t.Fatal(err)
			}
			loops := make(map[*Loop]bool)
			for range 4 {
				nc, err := net.Dial(network, ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				roundTrip(t, nc, "hello")
				s := receive(t, accepted)
				loops[s.Loop()] = true
				if network == "tcp" {
					s.mu.Lock()
					on, err := unix.GetsockoptInt(systemFD(&s.Conn), unix.IPPROTO_TCP, unix.TCP_NODELAY)
					s.mu.Unlock()
					if err != nil || on == 0 {
						t.Errorf("TCP_NODELAY is %d, %v", on, err)
					}
				}
			}
			if len(loops) != 2 {
				t.Errorf("%s: 4 connections went to %d of 2 loops", network, len(loops))
			}
		}
	})
}

// One loop accepts for all; a connection for one that has ended is closed.
func TestConnectionForALoopThatHasEndedIsClosed(t *testing.T) {
	g := start(t, Config{Loops: 2})
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := g.Serve(nl, ListenConfig{Accept: func(*Loop) Handler { return newEcho() }})
	if err != nil {
		t.Fatal(err)
	}
	other := g.Loops()[1-ln.acceptors[0].loop.index]
	if err := other.Do(func() { other.stopping = true }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loop has ended", func() bool { return other.Do(func() {}) != nil })
	served, closed := 0, 0
	for range 4 {
		nc := connectTo(t, ln)
		_, _ = nc.Write([]byte("!"))
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			served++
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
	}
	if served != 2 || closed != 2 {
		t.Errorf("of 4 connections %d were served and %d closed, want 2 and 2", served, closed)
	}
}

func TestServeNeedsADescriptor(t *testing.T) {
	g := start(t, Config{})
	if _, err := g.Serve(opaqueListener{}, ListenConfig{}); err == nil {
		t.Error("a listener without a descriptor was served")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := g.Adopt(a, newScripted(), nil); err == nil {
		t.Error("a connection without a descriptor was adopted")
	}
}

type opaqueListener struct{ net.Listener }

func TestAddressesAreThoseOfTheSocket(t *testing.T) {
	s := newScripted()
	peer := serveOne(t, start(t, Config{}), nil, s)
	if got, want := s.RemoteAddr().String(), peer.LocalAddr().String(); got != want {
		t.Errorf("remote address %s, want %s", got, want)
	}
	if got, want := s.LocalAddr().String(), peer.RemoteAddr().String(); got != want {
		t.Errorf("local address %s, want %s", got, want)
	}
}
