package loop

import (
	"bytes"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHalfCloseLeavesTheOtherHalf(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		eofs := make(chan struct{}, 8)
		s.onEOF = func(*scripted) { eofs <- struct{}{} }
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		if err := peer.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		receive(t, eofs)
		s.ResumeRead() // end of file is for ever
		onLoop(t, s.Loop(), func() {})
		want := fill(t, &s.Conn)
		s.Close(CloseFlushed)
		if got := readAll(t, peer); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes of %d after the peer's end", len(got), len(want))
		}
		receive(t, s.closed)
		if len(eofs) != 0 {
			t.Error("OnEOF came again")
		}
		s.checkOrder(t)
	})
}

// A ResumeRead that meets the end of file must not undo the pause which keeps
// it from being reported for ever.
func TestOnEOFComesOnceThoughOthersResume(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := startObserved(t, b)
		for range 100 {
			s := newScripted()
			var eofs atomic.Int32
			s.onEOF = func(*scripted) { eofs.Add(1) }
			peer := serveOne(t, g.Group, nil, s)
			stopped, resumed := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(resumed)
				for {
					select {
					case <-stopped:
						return
					default:
						s.ResumeRead()
					}
				}
			}()
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "OnEOF", func() bool { return eofs.Load() > 0 })
			close(stopped)
			receive(t, resumed)
			onLoop(t, s.Loop(), func() {})
			s.mu.Lock()
			want := s.want
			s.mu.Unlock()
			if eofs.Load() != 1 || want != 0 {
				t.Fatalf("OnEOF came %d times; the descriptor waits for %b", eofs.Load(), want)
			}
			s.Close(CloseNow)
			receive(t, s.closed)
		}
	})
}

// EPOLLHUP cannot be masked: with reading paused, the end of a unix socket is
// reported over and over, and what arrived before it has to be kept.
func TestBytesBeforeAHangUpSurviveAPause(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := startObserved(t, b)
		s := newScripted()
		data, eof := make(chan string, 8), make(chan struct{}, 8)
		s.onData = func(_ *scripted, b []byte) { data <- string(b) }
		s.onEOF = func(*scripted) { eof <- struct{}{} }
		peer := unixPair(t, g.Group, unix.SOCK_STREAM, nil, s)
		s.PauseRead()
		if _, err := peer.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		_ = peer.Close()
		witness := connectTo(t, listenEcho(t, g.Group))
		for range 50 {
			roundTrip(t, witness, "ping")
		}
		if n := g.poller.readyCount(s.descriptor()); n > 4 {
			t.Errorf("a paused connection was reported %d times", n)
		}
		if s.ends.Load() != 0 {
			t.Fatal("the connection ended with bytes unread")
		}
		s.ResumeRead()
		if got := receive(t, data); got != "last words" {
			t.Errorf("got %q", got)
		}
		receive(t, eof)
		for range 50 {
			roundTrip(t, witness, "ping")
		}
		if n := g.poller.readyCount(s.descriptor()); n > 8 {
			t.Errorf("a connection at its end was reported %d times", n)
		}
		s.Close(CloseFlushed)
		receive(t, s.closed)
		s.checkOrder(t)
	})
}
