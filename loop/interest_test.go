package loop

import (
	"io"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPauseLeavesBytesInTheKernelAndResumeDeliversThem(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		data := make(chan string, 8)
		s.onData = func(_ *scripted, b []byte) { data <- string(b) }
		peer := serveOne(t, g, nil, s)
		witness := connectTo(t, listenEcho(t, g))
		for _, msg := range []string{"one", "two"} {
			s.PauseRead()
			if _, err := peer.Write([]byte(msg)); err != nil {
				t.Fatal(err)
			}
			for range 10 { // the loop is looking
				roundTrip(t, witness, "ping")
			}
			if len(data) != 0 {
				t.Fatal("bytes were delivered while reading is paused")
			}
			s.ResumeRead()
			if got := receive(t, data); got != msg {
				t.Errorf("got %q, want %q", got, msg)
			}
		}
	})
}

func TestPauseInsideOnDataHoldsTheNextRead(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		var got atomic.Int64
		s.onData = func(s *scripted, b []byte) {
			got.Add(int64(len(b)))
			s.PauseRead()
		}
		peer := serveOne(t, g, nil, s)
		const size = 4 * readBufferSize // so that one event would read more than once
		go func() { _, _ = peer.Write(make([]byte, size)) }()
		eventually(t, "the first bytes arrive", func() bool { return got.Load() > 0 })
		onLoop(t, s.Loop(), func() {})
		if n := got.Load(); n > readBufferSize {
			t.Fatalf("%d bytes were delivered after a pause", n)
		}
		eventually(t, "all bytes arrive, read by read", func() bool {
			s.ResumeRead()
			return got.Load() == size
		})
	})
}

func TestPausedConnectionIsStillFlushed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		s.PauseRead()
		want := fill(t, &s.Conn)
		if _, err := io.ReadFull(peer, make([]byte, len(want))); err != nil {
			t.Fatal(err)
		}
		onLoop(t, s.Loop(), func() {})
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.want != 0 {
			t.Errorf("a paused connection with nothing queued waits for %b", s.want)
		}
	})
}

// netpoll and epoll report urgent data by EPOLLPRI: who checks EPOLLIN only
// is told for ever.
func TestUrgentByteDoesNotSpinTheLoop(t *testing.T) {
	needs(t, urgentData)
	eachBackend(t, func(t *testing.T, b Backend) {
		g := startObserved(t, b)
		s := newScripted()
		data := make(chan string, 8)
		s.onData = func(_ *scripted, b []byte) { data <- string(b) }
		peer := serveOne(t, g.Group, nil, s)
		raw, err := peer.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) }); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		witness := connectTo(t, listenEcho(t, g.Group))
		eventually(t, "the urgent byte is reported", func() bool { return g.poller.readyCount(s.descriptor()) > 0 })
		for range 100 {
			roundTrip(t, witness, "ping")
		}
		if n := g.poller.readyCount(s.descriptor()); n > 4 {
			t.Errorf("one urgent byte was reported %d times", n)
		}
		if _, err := peer.Write([]byte("after")); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, data); got != "after" {
			t.Errorf("got %q after the urgent byte", got)
		}
	})
}

// Whatever a connection waits for, it is not reported without a reason.
func TestIdleConnectionIsNotReported(t *testing.T) {
	states := map[string]func(t *testing.T, s *scripted){
		"open":   func(*testing.T, *scripted) {},
		"paused": func(_ *testing.T, s *scripted) { s.PauseRead() },
		"blocked": func(t *testing.T, s *scripted) {
			fill(t, &s.Conn)
		},
		"lingering": func(_ *testing.T, s *scripted) { s.Close(CloseLinger) },
	}
	eachBackend(t, func(t *testing.T, b Backend) {
		for name, enter := range states {
			t.Run(name, func(t *testing.T) {
				g := startObserved(t, b)
				s := newScripted()
				serveOne(t, g.Group, nil, s)
				enter(t, s)
				witness := connectTo(t, listenEcho(t, g.Group))
				roundTrip(t, witness, "settled")
				before := g.poller.readyCount(s.descriptor())
				for range 100 {
					roundTrip(t, witness, "ping")
				}
				if n := g.poller.readyCount(s.descriptor()) - before; n > 4 {
					t.Errorf("reported %d times for nothing", n)
				}
			})
		}
	})
}

func TestOneConnectionCannotKeepTheLoopFromOthers(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		flood := serveOne(t, g, nil, s)
		done, flooded := make(chan struct{}), make(chan struct{})
		go func() { defer close(flooded); floodUntil(flood, done) }()
		witness := connectTo(t, listenEcho(t, g))
		for range 50 {
			roundTrip(t, witness, "ping")
		}
		close(done)
		receive(t, flooded)
	})
}
