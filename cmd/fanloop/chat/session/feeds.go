package session

import (
	"slices"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// feeds are what a subscription may carry besides new messages and keyed values. Each takes
// a right of its own.
type feeds uint8

const (
	feedHistory  feeds = 1 << iota // messages from before it was opened
	feedPresence                   // who is there
	feedRead                       // how far others have read
)

// errFeed ends a subscription that carries more than the user may still get.
var errFeed = &protocol.Error{
	Code: protocol.Forbidden, Retry: protocol.Later,
	Message: "the right to a part of this subscription was taken away; subscribe again for the rest",
}

// feedsOf are those that the user may get in a topic now.
func (s *Session) feedsOf(t *topic) (may feeds) {
	if s.mayAs(rules.DoHistory, t, true) == nil {
		may |= feedHistory
	}
	if s.mayAs(rules.DoPresence, t, true) == nil {
		may |= feedPresence
		if n, err := s.config.Rules().Namespace(t.name); err == nil && n.ShowsReadPositions() {
			may |= feedRead
		}
	}
	return may
}

// allowed is what is left of a subscribe that asks for more than the user may get. What it
// carries is noted in t.
func (s *Session) allowed(t *topic, c protocol.Subscribe) protocol.Subscribe {
	may := s.feedsOf(t)
	c.Token = ""
	c.Last = min(c.Last, s.config.Limits.Page)
	if may&feedHistory == 0 {
		c.Last, c.Pos = 0, nil
	}
	if may&feedPresence == 0 {
		c.Presence = false
	}
	if may&feedRead == 0 && slices.Contains(c.Kinds, protocol.KindRead) {
		c.Kinds = slices.DeleteFunc(slices.Clone(c.Kinds), func(kind string) bool { return kind == protocol.KindRead })
	}
	t.carries = carriedBy(&c)
	return c
}

// carriedBy are the feeds that a subscribe asks for.
func carriedBy(c *protocol.Subscribe) (carries feeds) {
	if c.Last > 0 || c.Pos != nil {
		carries |= feedHistory
	}
	if c.Presence {
		carries |= feedPresence
	}
	if slices.Contains(c.Kinds, protocol.KindRead) {
		carries |= feedRead
	}
	return carries
}

// mayKeep returns why a subscription ends: the user may subscribe no more, or not get all
// that it carries.
func (s *Session) mayKeep(t *topic) error {
	if err := s.mayAs(rules.DoSubscribe, t, false); err != nil {
		return err
	}
	if t.carries&^s.feedsOf(t) != 0 {
		return errFeed
	}
	return nil
}

// stateOf is the state of the answer to a subscribe. Who brings a position and may not read
// history is subscribed from now on: nothing was missed if his position is still the last.
func stateOf(c *protocol.Subscribe, carries feeds, answer *protocol.Subscribed) protocol.State {
	switch {
	case c.Pos == nil || c.Mode == protocol.Passive || carries&feedHistory != 0:
		return answer.State
	case answer.Pos != nil && *answer.Pos == *c.Pos:
		return protocol.Resumed
	}
	return protocol.Reset
}
