package loop

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestCloseNowDropsWhatIsQueued(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		written := fill(t, &s.Conn)
		s.Close(CloseNow)
		if err := receive(t, s.closed); err != nil {
			t.Errorf("OnClose(%v) after this side closed", err)
		}
		if n := s.Queued(); n != 0 {
			t.Errorf("%d bytes are queued after the end", n)
		}
		if got := readAll(t, peer); len(got) >= len(written) || !bytes.HasPrefix(written, got) {
			t.Errorf("the peer got %d of %d bytes; want a true prefix", len(got), len(written))
		}
		s.checkOrder(t)
	})
}

func TestCloseResetResetsThePeer(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		s.Close(CloseReset)
		if err := receive(t, s.closed); err != nil {
			t.Errorf("OnClose(%v) after this side closed", err)
		}
		_, err := peer.Read(make([]byte, 1))
		wantErr(t, err, syscall.ECONNRESET)
	})
}

func TestCloseFlushedDeliversWhatIsQueued(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		written := fill(t, &s.Conn)
		s.Close(CloseFlushed)
		wantErr(t, s.Write(nil, []byte("late")), ErrClosed)
		if got := readAll(t, peer); !bytes.Equal(got, written) {
			t.Errorf("the peer got %d bytes of %d", len(got), len(written))
		}
		if err := receive(t, s.closed); err != nil {
			t.Errorf("OnClose(%v) after this side closed", err)
		}
		s.checkOrder(t)
	})
}

// floodUntil writes to nc until it fails or done is closed.
func floodUntil(nc net.Conn, done <-chan struct{}) {
	for p := make([]byte, 32<<10); ; {
		select {
		case <-done:
			return
		default:
		}
		if _, err := nc.Write(p); err != nil {
			return
		}
	}
}

// Closing a socket with unread bytes resets it, and a reset discards what the
// peer has not read: CloseLinger is there so that it can.
func TestCloseLingerDeliversLastWordsToAPeerThatStillSends(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		var after atomic.Bool
		s.onData = func(*scripted, []byte) {
			if after.Load() {
				t.Error("OnData came after Close")
			}
		}
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		done, flooded := make(chan struct{}), make(chan struct{})
		go func() { defer close(flooded); floodUntil(peer, done) }()
		var words []byte
		onLoop(t, s.Loop(), func() {
			words = fill(t, &s.Conn)
			s.Close(CloseLinger)
			after.Store(true)
		})
		if got := readAll(t, peer); !bytes.Equal(got, words) {
			t.Errorf("the peer got %d bytes of %d", len(got), len(words))
		}
		if s.ends.Load() != 0 {
			t.Error("the connection ended while the peer still sends")
		}
		close(done)
		receive(t, flooded)
		if err := peer.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, s.closed); err != nil {
			t.Errorf("OnClose(%v) after this side closed", err)
		}
		s.checkOrder(t)
	})
}

// bounded is a DiscardHandler that ends the connection at the first byte over most.
type bounded struct {
	*scripted
	most, dropped int // owned by the loop
}

func (b *bounded) OnDiscard(n int) {
	b.run(func(*scripted) {
		if b.dropped += n; b.dropped > b.most {
			b.Close(CloseNow)
		}
	})
}

func TestDiscardHandlerBoundsALinger(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend Backend) {
		g := start(t, Config{Backend: backend})
		b := &bounded{scripted: newScripted(), most: 4 << 20}
		ln := listen(t, g, nil, func(*Loop) Handler { return b })
		peer := connectTo(t, ln)
		receive(t, b.open)
		b.Close(CloseLinger)
		readAll(t, peer)
		floodUntil(peer, nil)
		if err := receive(t, b.closed); err != nil {
			t.Errorf("OnClose(%v) after this side closed", err)
		}
		onLoop(t, g.Loops()[0], func() {
			if b.dropped <= b.most || b.dropped > b.most+readBufferSize {
				t.Errorf("%d bytes were dropped, want the end at the first over %d", b.dropped, b.most)
			}
		})
		b.checkOrder(t)
	})
}

func TestLingerEndsWhenAStrongerModeIsAskedFor(t *testing.T) {
	for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed} {
		s := newScripted()
		peer := serveOne(t, start(t, Config{}), nil, s)
		s.Close(CloseLinger)
		if got := readAll(t, peer); len(got) != 0 {
			t.Errorf("got %q", got)
		}
		s.Close(mode)
		receive(t, s.closed)
		s.checkOrder(t)
	}
}

func TestPauseDoesNotHoldUpALinger(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		s.PauseRead()
		s.Close(CloseLinger)
		readAll(t, peer)
		s.PauseRead() // backpressure that does not know yet
		if err := peer.Close(); err != nil {
			t.Fatal(err)
		}
		receive(t, s.closed)
	})
}

func TestNothingIsDeliveredAfterClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		var events atomic.Int32
		count := func(s *scripted) {
			if events.Add(1) > 1 {
				t.Error("an event of the peer came after Close")
			}
		}
		s.onData = func(s *scripted, _ []byte) {
			count(s)
			fill(t, &s.Conn)
			s.Close(CloseFlushed) // waits for the peer to read
		}
		s.onEOF = count
		peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
		if _, err := peer.Write([]byte("first")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first bytes arrive", func() bool { return events.Load() == 1 })
		if _, err := peer.Write([]byte("second")); err != nil {
			t.Fatal(err)
		}
		if err := peer.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the peer's end is seen", func() bool { // unread bytes would reset the connection
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.flags&eof != 0
		})
		readAll(t, peer)
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

func TestOnCloseComesOnceWhateverIsCalledAtTheSameTime(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed, CloseLinger} {
			s := newScripted()
			peer := serveOne(t, g, &WritePolicy{Limit: 1 << 20, High: 1 << 10}, s)
			go func() {
				_, _ = io.Copy(io.Discard, peer)
				_ = peer.Close()
			}()
			var begin, end sync.WaitGroup
			begin.Add(1)
			for i := range 8 {
				end.Go(func() {
					begin.Wait()
					for range 200 {
						_ = s.Write([]byte("head"), make([]byte, 3000))
						s.Notify()
						_ = s.Do(func() { s.SetTimer(time.Nanosecond) })
						s.PauseRead()
						s.ResumeRead()
					}
					if i%2 == 0 {
						s.Close(mode)
					} else {
						s.Close(CloseFlushed)
					}
				})
			}
			begin.Done()
			end.Wait()
			receive(t, s.closed)
			onLoop(t, s.Loop(), func() {})
			onLoop(t, s.Loop(), func() {})
			s.checkOrder(t)
		}
	})
}

// The reset is found by recv while the close of this side waits for the end of
// the event: one end, one OnClose.
func TestEndThatIsFoundTwiceIsToldOnce(t *testing.T) {
	g := start(t, Config{})
	s := newScripted()
	peer := serveOne(t, g, nil, s)
	onLoop(t, g.Loops()[0], func() {
		_ = peer.SetLinger(0)
		_ = peer.Close()
		s.mu.Lock()
		s.asked = CloseNow
		s.mu.Unlock()
		s.ready(readable)
	})
	receive(t, s.closed)
	onLoop(t, g.Loops()[0], func() {})
	s.checkOrder(t)
	if n := g.Conns(); n != 0 {
		t.Errorf("the group counts %d connections", n)
	}
}

// R19: every method after the end, from four goroutines.
func TestEveryMethodIsSafeAfterTheEnd(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		serveOne(t, g, nil, s)
		s.Close(CloseNow)
		receive(t, s.closed)
		settle(t, g.Loops()[0]) // until OnClose has returned, there are addresses
		check := func() {
			wantErr(t, s.Write([]byte("a"), []byte("b")), ErrClosed)
			wantErr(t, s.Write(nil, nil), ErrClosed)
			wantErr(t, s.WriteShared(NewShared([]byte("c"))), ErrClosed)
			wantErr(t, s.Do(func() { t.Error("a function ran after the end") }), ErrClosed)
			s.Notify()
			s.PauseRead()
			s.ResumeRead()
			for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed, CloseLinger} {
				s.Close(mode)
			}
			if a, b := s.RemoteAddr(), s.LocalAddr(); a != nil || b != nil {
				t.Errorf("addresses %v and %v after the end", a, b)
			}
			if n, d := s.Queued(), s.Stalled(); n != 0 || d != 0 {
				t.Errorf("%d bytes queued for %v after the end", n, d)
			}
		}
		var end sync.WaitGroup
		for range 4 {
			end.Go(check)
		}
		end.Wait()
		onLoop(t, s.Loop(), func() {
			s.SetTimer(time.Nanosecond)
			_, err := s.Detach()
			wantErr(t, err, ErrClosed)
			check()
		})
		stop(t, g)
		check()
		s.checkOrder(t)
	})
}

func TestOnCloseTellsWhyThePeerIsGone(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		for _, paused := range []bool{false, true} {
			s := newScripted()
			peer := serveOne(t, start(t, Config{Backend: b}), nil, s)
			if paused {
				s.PauseRead()
			}
			_ = peer.SetLinger(0)
			_ = peer.Close()
			if paused && b == BackendNetpoll { // reports nothing to who waits for nothing
				s.ResumeRead()
			}
			wantErr(t, receive(t, s.closed), syscall.ECONNRESET)
			s.checkOrder(t)
		}
	})
}
