//go:build !race

package loop

import (
	"io"
	"testing"
	"time"
)

// The race detector's build sends through calls that allocate; the others must
// not. AllocsPerRun counts every goroutine, so it sees the loop too, and leaves
// them a single CPU, which takes its time: peers have no deadline here.

func wantNoAllocs(t *testing.T, what string, fn func()) {
	t.Helper()
	for range 100 { // pools and tables grow first
		fn()
	}
	if n := testing.AllocsPerRun(1000, fn); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

func TestEchoAllocatesNothing(t *testing.T) {
	needs(t, noAllocations)
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b, BlockedAfter: -1})
		s := newScripted()
		s.onData = func(s *scripted, b []byte) {
			var head [4]byte // of a frame: must stay on the stack
			copy(head[:], b)
			s.SetTimer(time.Minute)
			_ = s.Write(head[:], b[4:])
		}
		peer := serveOne(t, g, nil, s)
		_ = peer.SetDeadline(time.Time{})
		for _, size := range []int{64, 4 << 10, 2 * gatherMin} {
			msg, got := make([]byte, size), make([]byte, size)
			wantNoAllocs(t, "an echo", func() {
				if _, err := peer.Write(msg); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(peer, got); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

func TestWriteFromAnotherGoroutineAllocatesNothing(t *testing.T) {
	needs(t, noAllocations)
	g := start(t, Config{BlockedAfter: -1})
	s := newScripted()
	peer := serveOne(t, g, nil, s)
	_ = peer.SetDeadline(time.Time{})
	body, shared := make([]byte, 100), NewShared(make([]byte, 100))
	got := make([]byte, 104)
	wantNoAllocs(t, "Write", func() {
		var head [4]byte
		if err := s.Write(head[:], body); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(peer, got)
	})
	wantNoAllocs(t, "WriteShared", func() {
		if err := s.WriteShared(shared); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(peer, got[:100])
	})
}

func TestQueueAndFlushAllocateNothing(t *testing.T) {
	needs(t, noAllocations)
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{BlockedAfter: -1, Backend: b})
		s := newScripted()
		peer := serveOne(t, g, nil, s)
		_ = peer.SetDeadline(time.Time{})
		small, shared := make([]byte, 1000), NewShared(make([]byte, 30<<10))
		got := make([]byte, 1<<20)
		read := 0
		wantNoAllocs(t, "a queue that fills and is flushed", func() {
			written := 0
			for s.Queued() == 0 {
				_ = s.WriteShared(shared)
				written += shared.Len()
			}
			for range 10 {
				_ = s.WriteShared(shared)
				_ = s.Write(nil, small)
				written += shared.Len() + len(small)
			}
			for ; written > 0; written -= read {
				var err error
				if read, err = peer.Read(got); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// netpoll allocates a node of its queue for each wake, so this holds for the
// default backend.
func TestNotifyAllocatesNothing(t *testing.T) {
	g := start(t, Config{BlockedAfter: -1})
	s := newScripted()
	answered := make(chan struct{}, 1)
	s.onNotify = func(*scripted) { answered <- struct{}{} }
	serveOne(t, g, nil, s)
	wantNoAllocs(t, "Notify", func() {
		s.Notify()
		<-answered
	})
}
