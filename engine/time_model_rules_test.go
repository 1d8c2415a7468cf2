//go:build linux

package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/loop"
)

// tick is how late a timer may be.
const tick = 16 * time.Millisecond

// violates reports that a rule does not hold for s.
func (s *subject) violates(rule, format string, args ...any) {
	s.w.t.Helper()
	s.w.t.Errorf("[%s] %s\n%s\n%s", rule, fmt.Sprintf(format, args...), s.w.describe(), s.describe())
}

// describe tells what is known of s.
func (s *subject) describe() string {
	here, there, _ := s.kernels()
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("connection %s, %v, now %v, phase %s, paused %v, %d bytes queued, server's socket %+v, peer's %+v, %v\n\t%s", s.name, s.kind,
		s.w.now(), engine.PhaseOf(s.ws), s.isPaused(), s.ws.Buffered(), here, there, s.peer.habit, strings.Join(s.trace, "\n\t"))
}

// judge holds the rules against s, after time has passed.
func (s *subject) judge() {
	s.mu.Lock()
	over, err, at := s.closes > 0, s.err, s.errAt
	s.mu.Unlock()
	if err != nil && !s.judged {
		s.judged = true
		if wrong := s.fits(err, at); wrong != "" {
			s.violates("alive", "ended with %v, but %s", err, wrong)
		}
	}
	if over {
		s.verdict()
		return
	}
	phase := engine.PhaseOf(s.ws)
	if phase != "open" && s.closingAt == 0 {
		s.closingAt = s.w.now()
	}
	if s.w.clock != nil {
		s.judgeInTime(phase)
	}
}

// fits says what the peer or the server did that cannot end a connection with err,
// at that time; "" if it can.
func (s *subject) fits(err error, at time.Duration) string {
	if s.w.clock != nil {
		if wrong := s.fitsInTime(err, at); wrong != "" {
			return wrong
		}
	}
	l, f := &s.w.limits, &s.peer.up
	var broken *engine.ProtocolError
	var panicked *engine.PanicError
	switch {
	case errors.Is(err, engine.ErrPongTimeout):
		return unless(l.PingInterval > 0, "no pings are sent")
	case errors.Is(err, engine.ErrWriteTimeout):
		return unless(l.WriteTimeout > 0, "WriteTimeout is off")
	case errors.Is(err, engine.ErrReadTimeout):
		return unless(l.ReadTimeout > 0, "ReadTimeout is off")
	case errors.Is(err, engine.ErrIdleTimeout):
		return unless(l.IdleTimeout > 0, "IdleTimeout is off")
	case errors.Is(err, engine.ErrCloseTimeout):
		return unless(s.endBegan() > 0, "nobody closed it")
	case errors.Is(err, engine.ErrSlow):
		return unless(s.policy == engine.SlowClose, "its policy for slow subscribers is another")
	case errors.Is(err, engine.ErrOverload):
		return unless(l.MaxMemory > 0, "MaxMemory is off")
	case errors.Is(err, engine.ErrClosed):
		return unless(s.dropped, "CloseNow was not called")
	case errors.As(err, &panicked):
		return unless(s.panicked.Load(), "no callback panicked")
	case errors.As(err, &broken):
		return unless(broken.Code == engine.StatusPolicyViolation && f.rate.exceeded, "the peer kept to the protocol and the rate")
	case errors.Is(err, engine.ErrServerClosed):
		return unless(s.w.droppedAt != 0, "the server did not end")
	case errors.Is(err, engine.ErrAbnormalClosure):
		return unless(f.endAt != 0 || s.w.droppedAt != 0, "the peer did not end it")
	}
	return "this is no cause"
}

// unless returns wrong if cond does not hold.
func unless(cond bool, wrong string) string {
	if cond {
		return ""
	}
	return wrong
}

// fitsInTime is fits for the causes that are timers: it says how the peer was alive.
func (s *subject) fitsInTime(err error, at time.Duration) string {
	l, p, f := &s.w.limits, s.peer, &s.peer.up
	closedAt := time.Duration(s.closedAt.Load())
	closed := closedAt != 0 && s.order.Load() < s.errNth && !(s.beside.Load() && closedAt == at)
	switch {
	case errors.Is(err, engine.ErrCloseTimeout):
		switch began := s.endBegan(); {
		case at-began < l.CloseTimeout:
			return fmt.Sprintf("it was closed only %v before", at-began)
		case f.clear && p.saidClose():
			return "the peer had read everything and answered the close frame"
		case p.upload != nil && f.begunAt < began: // before the end of a letter it cannot answer
			return f.progress(f.taken, at-l.CloseTimeout, at) + f.progress(f.arrived, at-l.CloseTimeout, at)
		}
		return f.progress(f.taken, at-l.CloseTimeout, at)
	case !isKeepAlive(err):
		return ""
	case closed:
		return "it was closed before"
	case errors.Is(err, engine.ErrPongTimeout):
		switch {
		case f.clear:
			return "the peer had read and answered everything"
		case at-f.heardAt < l.PingInterval+l.PongTimeout:
			return fmt.Sprintf("the peer sent something %v before", at-f.heardAt)
		case p.owes > 0: // it has read the ping
			return ""
		}
		return f.progress(f.taken, at-l.PongTimeout, at)
	case errors.Is(err, engine.ErrWriteTimeout):
		if f.clear {
			return "the peer had read everything"
		}
		return f.progress(f.taken, at-l.WriteTimeout, at)
	case errors.Is(err, engine.ErrReadTimeout):
		if p.upload == nil && !p.uncredited.some && !p.over() {
			return "no letter is under way"
		}
		return f.progress(f.arrived, at-l.ReadTimeout, at)
	case at-f.letterAt < l.IdleTimeout:
		return fmt.Sprintf("a letter came %v before", at-f.letterAt)
	}
	return f.progress(f.arrived, at-l.IdleTimeout, at)
}

// progress tells of bytes that went through between two times, if they count. Of
// letters some are headers, which do not.
func (f *facts) progress(of flow, from, to time.Duration) string {
	const headers = 100
	if n := of.between(from, to); n >= loop.MinProgress+headers {
		return fmt.Sprintf("%d bytes went through within %v", n, to-from)
	}
	return ""
}

// isKeepAlive says whether err is the cause of a timer of an open connection.
func isKeepAlive(err error) bool {
	return errors.Is(err, engine.ErrPongTimeout) || errors.Is(err, engine.ErrIdleTimeout) ||
		errors.Is(err, engine.ErrWriteTimeout) || errors.Is(err, engine.ErrReadTimeout)
}

// endBegan is when anything was done that closes the connection; 0: nothing was.
func (s *subject) endBegan() time.Duration {
	s.mu.Lock()
	errAt := s.errAt
	s.mu.Unlock()
	began := time.Duration(0)
	for _, at := range []time.Duration{s.peer.up.endAt, errAt, s.w.shutdownAt, time.Duration(s.closedAt.Load())} {
		if at > 0 && (began == 0 || at < began) {
			began = at
		}
	}
	return began
}

// judgeInTime holds the rules of who is dropped by when against s, which is not
// closed yet.
func (s *subject) judgeInTime(phase string) {
	l, p, f, now := &s.w.limits, s.peer, &s.peer.up, s.w.now()
	p.sample() // what the kernel heard of late
	if phase != "open" {
		if from := s.w.before(3*l.CloseTimeout, 4); s.closingAt <= from && max(f.taken.since(from), f.arrived.since(from)) < loop.MinProgress {
			s.violates("close in time", "%s since %v", phase, s.closingAt)
		}
		return
	}
	closedAt := time.Duration(s.closedAt.Load())
	switch {
	case closedAt != 0 && closedAt < now: // a worker may be in the call
		s.violates("close at once", "it is open, though it was closed at %v", closedAt)
	case !s.isPaused() && f.endAt != 0 && f.endAt < now && len(p.socket.out) == 0:
		s.violates("close at once", "it is open, though the peer ended it at %v", f.endAt)
	}
	if from := s.w.before(3*l.WriteTimeout, 4); l.WriteTimeout > 0 && s.queuedSince > 0 && s.queuedSince <= from && f.taken.since(from) < loop.MinProgress {
		s.violates("write in time", "the queue stands still, %d bytes are queued", s.ws.Buffered())
	}
	if !s.isPaused() {
		s.judgeSilence()
	}
}

// judgeSilence holds the rules of who is to send what against s, which is open and
// read.
func (s *subject) judgeSilence() {
	l, p, f := &s.w.limits, s.peer, &s.peer.up
	read := max(s.openedAt, s.resumedAt)
	if from := s.w.before(l.PingInterval+3*l.PongTimeout, 5); l.PingInterval > 0 && max(read, f.someAt) <= from && f.taken.since(from) < loop.MinProgress {
		s.violates("pong in time", "the peer has been silent since %v", f.someAt)
	}
	if from := s.w.before(3*l.ReadTimeout, 4); l.ReadTimeout > 0 && p.upload != nil && max(read, f.begunAt) <= from && f.arrived.since(from) < loop.MinProgress {
		s.violates("read in time", "the letter begun at %v does not get on", f.begunAt)
	}
	from := s.w.before(l.IdleTimeout, 2)
	if p.upload != nil {
		from = s.w.before(3*l.IdleTimeout, 4)
	}
	if l.IdleTimeout > 0 && max(read, f.letterAt) <= from && f.arrived.since(from) < loop.MinProgress {
		s.violates("idle in time", "the last letter came at %v", f.letterAt)
	}
}

// before is how long ago something is that takes d and some timers, each of which may
// be late by a tick and the step of the clock that it fell into.
func (w *world) before(d time.Duration, timers time.Duration) time.Duration {
	from := w.now() - d - timers*(tick+w.longest)
	return w.now() - d - timers*(tick+w.longestStep(from))
}
