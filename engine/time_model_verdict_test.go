//go:build linux

package engine_test

import (
	"errors"

	"github.com/fanloop-go/fanloop/engine"
)

// verdict holds the rules of a whole life against s, whose OnClose was called.
func (s *subject) verdict() {
	if s.done {
		return
	}
	s.done = true
	p := s.peer
	within(s.w.t, "Done", s.ws.Done())
	p.readToTheEnd()
	s.mu.Lock()
	err, code, letters, closes, errs, cause := s.ws.Err(), s.code, s.letters, s.closes, s.errs, s.err
	s.mu.Unlock()
	told := err != nil && !errors.Is(err, engine.ErrClosed) // CloseNow does not call OnError
	if closes != 1 || errs > 1 || (errs == 1) != told || cause != nil && cause != err {
		s.violates("once", "OnClose came %d times, OnError %d times with %v, Err is %v", closes, errs, cause, err)
	}
	s.logf("verdict: %v, %d; the peer got %d of %d letters, the server %d of %d", err, code, p.letters, letters, s.got, p.begun)
	s.cause = ending{err: err}.cause()
	if err == nil {
		s.verdictClean(code, letters)
	} else if p.letters > letters {
		s.violates("order", "received %d letters, %d were sent", p.letters, letters)
	}
	if s.got > p.begun {
		s.violates("foreign bytes", "%d letters reached the server, %d were sent", s.got, p.begun)
	}
}

// verdictClean is verdict after a closing handshake: everything that was accepted
// has arrived.
func (s *subject) verdictClean(code engine.StatusCode, letters int) {
	p := s.peer
	switch {
	case !p.sentClose:
		s.violates("cause", "Err is nil, and the peer sent no close frame")
	case code != p.sentCode:
		s.violates("cause", "OnClose got %d, the peer sent %d", code, p.sentCode)
	}
	if s.closedAt.Load() == 0 && s.w.droppedAt == 0 && s.w.counts && s.got != p.begun {
		s.violates("delivered or reported", "%d letters reached the server, the peer sent %d and a close frame", s.got, p.begun)
	}
	if p.left && !p.eof {
		return // it did not wait for the rest
	}
	if p.broken != nil {
		s.violates("delivered or reported", "the peer's connection broke: %v, and Err is nil", p.broken)
		return
	}
	if p.letters != letters {
		s.violates("delivered or reported", "%d letters were accepted, the peer got %d, and Err is nil", letters, p.letters)
	}
	for name, t := range s.topics {
		s.mu.Lock()
		gaps := int(t.gaps)
		s.mu.Unlock()
		if s.policy != engine.SlowConflate && s.w.counts && !s.midMessage && s.rest == nil && p.news[name]+gaps != t.meant {
			s.violates("delivered or reported", "%s: %d were published, %d came, OnGap told of %d, and Err is nil", name, t.meant, p.news[name], gaps)
		}
	}
}
