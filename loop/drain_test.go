package loop

import (
	"io"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// F-a, T09: a refused write that is tried again in OnDrain must not be refused
// and drained in turn while the peer takes nothing, whatever the marks are, and
// must be taken once OnDrain comes.
func TestOnDrainWaitsForRoomForWhatWasRefused(t *testing.T) {
	needs(t, fullSockets)
	const limit = 64 << 10
	for _, low := range []int{0, 1 << 10, limit - 1, limit, 256 << 10} {
		for _, size := range []int{1 << 10, 40 << 10, 2 * limit} {
			t.Run(strconv.Itoa(low)+"/"+strconv.Itoa(size), func(t *testing.T) {
				g := start(t, Config{})
				s := newScripted()
				var drains atomic.Int64
				tries := make(chan error, 1)
				s.onDrain = func(s *scripted) {
					drains.Add(1)
					err := s.Write(nil, make([]byte, size))
					select {
					case tries <- err:
					default:
					}
				}
				peer := unixPair(t, g, unix.SOCK_STREAM, &WritePolicy{Limit: limit, High: limit, Low: low}, s)
				shrink(t, &s.Conn)
				for s.Queued() == 0 { // until the socket takes no more
					wantErr(t, s.Write(nil, make([]byte, 30<<10)), nil)
				}
				wantErr(t, s.Do(func() { // whose end looks whether OnDrain is due
					for s.Write(nil, make([]byte, size)) == nil {
					}
				}), nil)
				others := connectTo(t, listenEcho(t, g))
				for range 20 { // turns of the loop
					roundTrip(t, others, "others")
				}
				if n := drains.Load(); n != 0 {
					t.Errorf("OnDrain came %d times though the peer takes nothing", n)
				}
				go func() { _, _ = io.Copy(io.Discard, peer) }()
				wantErr(t, receive(t, tries), nil)
			})
		}
	}
}

// A refusal between QueueSharedLocked and FlushLocked, which are no event.
func TestOnDrainComesThoughAFlushOutsideOfEventsMadeTheRoom(t *testing.T) {
	s := newScripted()
	drained := make(chan struct{}, 1)
	s.onDrain = func(*scripted) { drained <- struct{}{} }
	serveOne(t, start(t, Config{}), &WritePolicy{Limit: 1000, Low: 500}, s)
	onLoop(t, s.Loop(), func() {
		s.Lock()
		wantErr(t, s.QueueSharedLocked([]*Shared{NewShared(make([]byte, 900))}), nil)
		wantErr(t, s.WriteLocked(nil, make([]byte, 200), false), ErrBackpressure)
		s.FlushLocked()
		s.Unlock()
	})
	receive(t, drained)
}
