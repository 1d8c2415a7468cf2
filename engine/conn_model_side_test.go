package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// side is one end of a connection: what it sends, and what it receives from
// its peer.
type side struct {
	m    *model
	name string // of the connection and the direction in which this side sends
	peer *side
	ws   *engine.WebSocket
	open chan struct{} // closed when ws is set

	fragments sync.Mutex // held while a message of fragments is under way
	closed    atomic.Bool
	dropped   atomic.Bool

	mu     sync.Mutex
	codes  []engine.StatusCode // of those calls of Close that may have been the first
	closes bool                // one of them has returned

	accepted, received atomic.Int64
	sentEmpty          atomic.Int64

	sent [senders]uint32 // each touched by its sender

	// Owned by the loop, and read after Done.
	got      [senders]uint32
	gotEmpty int64
	ended    int
	endCode  engine.StatusCode
}

// ink is what messages are written with.
var ink = func() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 2*modelLargest)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz012345"[rng.IntN(32)]
	}
	return b
}()

// message is the one of that number by that sender, of n bytes at least. It
// says where it belongs; the rest is ink from a place of its own.
func (s *side) message(sender int, number uint32, n int) (engine.OpCode, []byte) {
	head := fmt.Appendf(nil, "%c %s %d ", 'A'+sender, s.name, number)
	n = max(n-len(head), 0)
	from := int(number*7919+uint32(sender)*104729) % (len(ink) - modelLargest)
	op := engine.Text
	if number%2 == 0 {
		op = engine.Binary
	}
	return op, append(head, ink[from:from+n]...)
}

// receive checks a message of the peer: the next of its sender, and no other.
func (s *side) receive(op engine.OpCode, b []byte) {
	s.notEnded("a message")
	s.received.Add(1)
	if len(b) == 0 {
		s.gotEmpty++
		return
	}
	sender := int(b[0]) - 'A'
	if sender < 0 || sender >= senders {
		s.m.t.Errorf("%s: got foreign bytes %.60q", s.name, b)
		return
	}
	wantOp, want := s.peer.message(sender, s.got[sender], len(b))
	if op != wantOp || !bytes.Equal(b, want) {
		s.m.t.Errorf("%s: got %v of %d bytes %.60q, want %v of %d bytes %.60q", s.name, op, len(b), b, wantOp, len(want), want)
	}
	s.got[sender]++
}

func (s *side) opened(ws *engine.WebSocket) {
	s.ws = ws
	close(s.open)
}

func (s *side) notEnded(what string) {
	if s.ended > 0 {
		s.m.t.Errorf("%s: %s after OnClose", s.name, what)
	}
}

func randomSize(rng *rand.Rand) int {
	switch rng.IntN(10) {
	case 0:
		return 0
	case 1, 2, 3, 4, 5:
		return 1 + rng.IntN(200)
	case 6, 7, 8:
		return rng.IntN(16 << 10)
	}
	return rng.IntN(modelLargest)
}

// allow reports an error that is not among those an operation may have.
func (s *side) allow(what string, err error, allowed ...error) bool {
	if err == nil {
		return true
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return false
		}
	}
	s.m.t.Errorf("%s: %s: %v", s.name, what, err)
	return false
}

// send sends the next message of a sender; size 0 is an empty one, which says
// nothing of itself and is counted.
func (s *side) send(sender, size int, by func(engine.OpCode, []byte) error) {
	op, b := engine.Text, []byte(nil)
	if size > 0 {
		op, b = s.message(sender, s.sent[sender], size)
	}
	if s.allow("Send", by(op, b), engine.ErrClosed, engine.ErrBackpressure, engine.ErrFragmentOpen) {
		s.note(sender, size)
	}
}

// note counts a message that was accepted.
func (s *side) note(sender, size int) {
	s.accepted.Add(1)
	if size > 0 {
		s.sent[sender]++
	} else {
		s.sentEmpty.Add(1)
	}
}

func (s *side) sendPrepared(op engine.OpCode, b []byte) error {
	p, err := engine.Prepare(op, b)
	if err != nil {
		return err
	}
	return s.ws.SendPrepared(p)
}

// sendFragments sends the next message of a sender in several frames. One
// sender at a time may do that. Once begun, the message is finished.
func (s *side) sendFragments(sender, size, frames int) {
	if !s.fragments.TryLock() {
		return
	}
	defer s.fragments.Unlock()
	op, b := engine.Text, []byte(nil)
	if size > 0 {
		op, b = s.message(sender, s.sent[sender], size)
	}
	for i := range frames {
		from, to := len(b)*i/frames, len(b)*(i+1)/frames
		err := s.ws.SendFragment(op, b[from:to], i == frames-1)
		for i > 0 && errors.Is(err, engine.ErrBackpressure) {
			s.peer.ws.ResumeReading()
			time.Sleep(time.Millisecond)
			err = s.ws.SendFragment(op, b[from:to], i == frames-1)
		}
		if !s.allow("SendFragment", err, engine.ErrClosed, engine.ErrBackpressure) {
			return
		}
	}
	s.note(sender, size)
}

// close begins the closing handshake; the first code counts.
func (s *side) close(code engine.StatusCode) {
	s.closed.Store(true)
	s.mu.Lock()
	if !s.closes {
		s.codes = append(s.codes, code)
	}
	s.mu.Unlock()
	s.allow("Close", s.ws.Close(code, s.name))
	s.mu.Lock()
	s.closes = true
	s.mu.Unlock()
}

// waitForLoop waits until every Do so far has run.
func (s *side) waitForLoop() {
	ran := make(chan struct{})
	if s.ws.Do(func() { close(ran) }) != nil {
		return
	}
	select {
	case <-ran:
	case <-s.ws.Done():
	}
}

// check judges what the peer got of what s sent, after the end of both.
func (s *side) check(quiet bool) {
	t, peer := s.m.t, s.peer
	dropped := s.dropped.Load() || peer.dropped.Load()
	// After a Close of the peer what s sent may be discarded; after one of s
	// alone it arrives before the close frame does.
	whole := quiet || s.closed.Load() && !peer.closed.Load() && !dropped
	for i, n := range s.sent {
		if got := peer.got[i]; got > n || whole && got < n {
			t.Errorf("%s: sender %d had %d messages accepted, the peer got %d (all: %v)", s.name, i, n, got, whole)
		}
	}
	if got, n := peer.gotEmpty, s.sentEmpty.Load(); got > n || whole && got < n {
		t.Errorf("%s: %d empty messages accepted, the peer got %d (all: %v)", s.name, n, got, whole)
	}
	if s.ended != 1 {
		t.Errorf("%s: OnClose came %d times", s.name, s.ended)
	}
	err := s.ws.Err()
	switch {
	case !dropped && err != nil:
		t.Errorf("%s: ended with %v", s.name, err)
	case whole && s.closed.Load() && !slices.Contains(s.codes, peer.endCode):
		t.Errorf("%s: closed with %d, the peer saw %d", s.name, s.codes, peer.endCode)
	case err != nil && !errors.Is(err, engine.ErrAbnormalClosure) && !errors.Is(err, engine.ErrClosed):
		t.Errorf("%s: dropped, and ended with %v", s.name, err)
	}
}
