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

// ttlOf is that of a grant.
func (s *Session) ttlOf(g *Grant) int64 {
	if g == nil {
		return 0
	}
	return s.ttl(g.Expires)
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
	s.backend.Authorize(s.who, c.Topic, c.Token, func(g *Grant, err error) {
		s.waiting--
		if err == nil && t.ended {
			g.release()
			err = protocol.Stale
		}
		if err != nil {
			s.answer(c, err)
			return
		}
		t.hold(g)
		s.out.Send(&protocol.Refreshed{Ref: c.Ref, Topic: c.Topic, TTL: s.ttlOf(g)})
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
		earlier(t.grant.until())
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
		if over(t.grant.until()) {
			s.endGrant(t, protocol.TokenExpired)
		}
	}
}

// Withdraw takes a grant away, for a reason: its token was revoked, say. A grant that is not
// used any more takes nothing with it.
func (s *Session) Withdraw(g *Grant, err error) {
	for _, t := range s.topics {
		if t.grant == g {
			s.endGrant(t, err)
			return
		}
	}
}

// endGrant takes what was granted. The subscription ends with it, unless there is a right to
// all of it without the grant; one that is being opened is refused.
func (s *Session) endGrant(t *topic, err error) {
	t.hold(nil)
	if s.mayKeep(t) != nil {
		s.Unsubscribe(t.name, t.attempt, err)
	}
}
