package session

import (
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// refreshGrace is how much longer a token holds while a new one is being checked.
const refreshGrace = 10 * time.Second

// ttl is the time until t in milliseconds, as frames have it: 0 if t is never.
func (s *Session) ttl(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.Sub(s.config.Now()).Milliseconds())
}

func (s *Session) refresh(c *protocol.Refresh) {
	if c.Topic != "" {
		s.refreshTopic(c)
		return
	}
	if s.refreshing {
		s.fail(c, protocol.Overloaded)
		return
	}
	s.refreshing = true
	s.waiting++
	s.backend.Refresh(s.who, c.Token, func(who Identity, err error) {
		s.waiting--
		s.refreshing = false
		switch {
		case s.state == closed:
		case err != nil:
			s.answer(c, err)
		default:
			s.who = &who
			s.out.Send(&protocol.Refreshed{Ref: c.Ref, TTL: s.ttl(who.Expires)})
			s.review()
		}
	})
}

// refreshTopic has a topic token checked.
func (s *Session) refreshTopic(c *protocol.Refresh) {
	t := s.find(c.Topic)
	switch {
	case t == nil:
		s.fail(c, protocol.NotSubscribed)
		return
	case t.attempt != c.Attempt:
		s.fail(c, protocol.Stale)
		return
	}
	s.waiting++
	s.backend.Authorize(s.who, c.Topic, c.Token, func(g Grant, err error) {
		s.waiting--
		if err == nil && t.ended {
			err = protocol.Stale
		}
		if err != nil {
			s.answer(c, err)
			return
		}
		t.rights, t.expires = g.Rights, g.until()
		s.out.Send(&protocol.Refreshed{Ref: c.Ref, Topic: c.Topic, TTL: s.ttl(g.Expires)})
		s.review()
	})
}

// review ends the subscriptions to which, or to a part of which, there is no right any more.
func (s *Session) review() {
	for _, t := range append([]*topic(nil), s.topics...) {
		if !t.open() {
			continue // decided when it is authorized
		}
		if err := s.mayKeep(t); err != nil {
			s.Unsubscribe(t.name, t.attempt, err)
		}
	}
}

// Deadline is when Expire is to be called next; zero: not yet known. It may change
// with every call of the session.
func (s *Session) Deadline() time.Time {
	if s.state == closed {
		return time.Time{}
	}
	next := s.deadline
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(s.expiry())
	for _, t := range s.topics {
		earlier(t.expires)
	}
	return next
}

// expiry is when the connection ends with its token.
func (s *Session) expiry() time.Time {
	switch {
	case s.who == nil:
		return time.Time{}
	case s.refreshing:
		return with(s.who.until(), refreshGrace)
	}
	return s.who.until()
}

// Expire ends what has come to its end by now.
func (s *Session) Expire() {
	now := s.config.Now()
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case s.state == closed:
		return
	case over(s.deadline):
		s.Close(protocol.NoConnect, "")
		return
	case over(s.expiry()):
		s.Close(protocol.TokenExpired, "")
		return
	}
	for _, t := range append([]*topic(nil), s.topics...) {
		if over(t.expires) {
			s.expireTopic(t)
		}
	}
}

// expireTopic ends a subscription whose grant ended, unless there is a right to all of it
// without the grant.
func (s *Session) expireTopic(t *topic) {
	t.rights, t.expires = 0, time.Time{}
	if t.open() && s.mayKeep(t) != nil {
		s.Unsubscribe(t.name, t.attempt, protocol.TokenExpired)
	}
}
