//go:build linux

package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// subject is a connection of the model: what was done to it on the server's side, and
// what was seen of it.
type subject struct {
	w      *world
	name   string
	kind   kind
	peer   *timePeer
	ws     *engine.WebSocket
	policy engine.SlowPolicy   // for slow subscribers
	topics map[string]*reading // by name; immutable

	// Of the one that plays the model.
	openedAt, resumedAt, closingAt time.Duration
	queuedSince                    time.Duration // 0: nothing is queued
	pingedAt                       time.Duration
	paused, dropped                bool
	judged, done                   bool
	cause                          string // of its end, by name
	rest                           []byte // of a message in fragments
	midMessage                     bool   // it was closed inside one

	panicked atomic.Bool
	unpaused atomic.Bool  // a callback has closed it, which undoes paused
	closedAt atomic.Int64 // when Close was called first; 0: it was not
	order    atomic.Int64 // of that among all events
	beside   atomic.Bool  // it was by a callback on another loop, while its own goes on

	mu      sync.Mutex
	trace   []string
	letters int // accepted, to this connection alone
	got     int // letters of the peer
	errs    int
	err     error
	errAt   time.Duration
	errNth  int64 // among all events
	closes  int
	code    engine.StatusCode
}

// reading is what is known of one subscription.
type reading struct {
	meant int    // published while it was subscribed
	gaps  uint64 // of which OnGap told
}

// logf keeps what happened, to be shown if a rule does not hold.
func (s *subject) logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logLocked(format, args...)
}

func (s *subject) logLocked(format string, args ...any) {
	const kept = 60
	if len(s.trace) == kept {
		s.trace = append(s.trace[:0], s.trace[kept/2:]...)
	}
	s.trace = append(s.trace, fmt.Sprintf("%v ", s.w.now())+fmt.Sprintf(format, args...))
}

// callbacks of a server of the model.
func subjectCallbacks() engine.Callbacks {
	of := func(ws *engine.WebSocket) *subject { return engine.Get[*subject](ws) }
	return engine.Callbacks{
		OnText:   func(ws *engine.WebSocket, b []byte) { of(ws).receive(engine.Text, b) },
		OnBinary: func(ws *engine.WebSocket, b []byte) { of(ws).receive(engine.Binary, b) },
		OnPing:   func(ws *engine.WebSocket, _ []byte) { of(ws).notClosed("OnPing") },
		OnPong:   func(ws *engine.WebSocket, _ []byte) { of(ws).notClosed("OnPong") },
		OnDrain:  func(ws *engine.WebSocket) { of(ws).notClosed("OnDrain") },
		OnGap: func(ws *engine.WebSocket, topic string, n uint64) {
			s := of(ws)
			s.notClosed("OnGap")
			s.mu.Lock()
			defer s.mu.Unlock()
			s.topics[topic].gaps += n
		},
		OnError: func(ws *engine.WebSocket, err error) {
			s := of(ws)
			s.notClosed("OnError")
			s.failed(err)
			if victim := s.w.victim.Swap(nil); victim != nil { // T04: its timer may be due in the same sweep
				victim.beside.Store(engine.LoopOf(victim.ws) != engine.LoopOf(ws))
				victim.closeFrom("connection " + s.name)
			}
		},
		OnClose: func(ws *engine.WebSocket, code engine.StatusCode, _ string) {
			s := of(ws)
			s.notClosed("OnClose")
			s.mu.Lock()
			defer s.mu.Unlock()
			s.closes++
			s.code = code
			s.logLocked("OnClose %d", code)
		},
	}
}

// notClosed fails if what comes after OnClose.
func (s *subject) notClosed(what string) {
	s.mu.Lock()
	closed := s.closes > 0
	s.mu.Unlock()
	if closed {
		s.violates("last", "%s after OnClose", what)
	}
}

// failed notes the cause of the end.
func (s *subject) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs++
	s.err, s.errAt, s.errNth = err, s.w.now(), s.w.events.Add(1)
	s.logLocked("OnError %v", err)
}

// closeFrom closes the connection, in a callback.
func (s *subject) closeFrom(what string) {
	s.noteClose()
	s.unpaused.Store(true)
	s.logf("closed by %s", what)
	_ = s.ws.Close(4001, "as you wish")
}

// noteClose notes the first call of Close.
func (s *subject) noteClose() {
	if s.closedAt.CompareAndSwap(0, int64(s.w.now())) {
		s.order.Store(s.w.events.Add(1))
	}
}

// receive checks a letter of the peer, and does what it asks for. On the loop.
func (s *subject) receive(op engine.OpCode, b []byte) {
	s.notClosed("a message")
	from, number, wish, ok := openLetter(op, b)
	s.mu.Lock()
	s.got++
	want := s.got
	s.mu.Unlock()
	if !ok || from != (sender{'U', s.name}) || number != want {
		s.violates("foreign bytes", "the server got %v of %d bytes %.60q, want letter %d", op, len(b), b, want)
	}
	switch wish {
	case "echo":
		s.send(len(b), s.ws.Send)
	case "close":
		s.closeFrom("a letter")
	case "panic":
		s.panicked.Store(true)
		s.logf("panics")
		panic("as you wish")
	case "goexit":
		s.panicked.Store(true)
		s.logf("Goexit")
		runtime.Goexit()
	}
}

// send sends a letter to the peer, if it is taken.
func (s *subject) send(size int, by func(engine.OpCode, []byte) error) (taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := by(letter('S', s.name, s.letters+1, size, "-"))
	if err == nil {
		s.letters++
		return true
	}
	s.allowLocked("Send", err)
	return false
}

// allowLocked fails if err is none that a send may return.
func (s *subject) allowLocked(what string, err error) {
	for _, allowed := range []error{nil, engine.ErrClosed, engine.ErrBackpressure, engine.ErrFragmentOpen} {
		if errors.Is(err, allowed) {
			return
		}
	}
	s.w.t.Errorf("connection %s: %s: %v", s.name, what, err)
}

func (s *subject) sendPrepared(op engine.OpCode, b []byte) error {
	p, err := engine.Prepare(op, b)
	if err != nil {
		return err
	}
	return s.ws.SendPrepared(p)
}

// fragment begins a letter in two frames, or finishes it.
func (s *subject) fragment(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op, b := letter('S', s.name, s.letters+1, size, "-")
	half := len(b) / 2
	if s.rest == nil {
		err := s.ws.SendFragment(op, b[:half], false)
		if s.allowLocked("SendFragment", err); err == nil {
			s.rest = b[half:]
		}
		return
	}
	if op = engine.Text; (s.letters+1)%2 == 0 {
		op = engine.Binary
	}
	err := s.ws.SendFragment(op, s.rest, true)
	switch s.allowLocked("SendFragment", err); {
	case err == nil:
		s.rest = nil
		s.letters++
	case errors.Is(err, engine.ErrClosed):
		s.rest, s.midMessage = nil, true
	}
}

// operate is one random thing that a server does with a connection.
func (s *subject) operate(rng *rand.Rand) {
	size := randomSize(rng)
	switch n := rng.IntN(200); {
	case n < 70:
		s.send(size, s.ws.Send)
	case n < 85:
		s.send(size, s.sendPrepared)
	case n < 97:
		s.fragment(size)
	case n < 112: // until it is full
		for range 40 {
			if !s.send(4<<10+size, s.ws.Send) {
				break
			}
		}
		s.logf("a burst; %d bytes are queued", s.ws.Buffered())
	case n < 130:
		s.allow(s.ws.Do(func() { s.send(size, s.ws.Send); s.send(10, s.ws.Send) }))
	case n < 145:
		if now := s.w.now(); now-s.pingedAt >= time.Second || s.pingedAt == 0 {
			s.pingedAt = now
			s.allow(s.ws.Ping(ink[:rng.IntN(126)]))
		}
	case n < 160:
		s.pause()
	case n < 190:
		s.resume()
	case n < 193:
		s.close("Close", func() { _ = s.ws.Close(engine.StatusCode(3000+rng.IntN(1000)), s.name) })
	case n < 195:
		s.close("Close on the loop", func() { s.allow(s.ws.Do(func() { _ = s.ws.Close(4000, "") })) })
	case n < 197:
		s.dropped = true
		s.close("CloseNow", s.ws.CloseNow)
	case n < 198:
		paused := s.paused
		s.panicked.Store(true)
		s.close("panic", func() { s.allow(s.ws.Do(func() { panic("on purpose") })) })
		s.paused = paused // it says what it has to first
	}
}

func (s *subject) allow(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowLocked("a call", err)
}

// isPaused says whether the server does not read the connection.
func (s *subject) isPaused() bool { return s.paused && !s.unpaused.Load() }

func (s *subject) pause() {
	if !s.paused && s.closedAt.Load() == 0 {
		s.paused = true
		s.logf("PauseReading")
		s.ws.PauseReading()
	}
}

func (s *subject) resume() {
	if s.paused {
		s.logf("ResumeReading")
		s.paused, s.resumedAt = false, s.w.now()
		s.ws.ResumeReading()
	}
}

// close ends the connection in some way.
func (s *subject) close(how string, fn func()) {
	s.logf("%s, %d bytes are queued", how, s.ws.Buffered())
	s.midMessage = s.midMessage || s.rest != nil
	s.noteClose()
	if s.paused { // Close undoes it
		s.paused, s.resumedAt = false, s.w.now()
	}
	fn()
}
