package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// SlowPolicy says what happens to a message for a subscriber whose queue is
// full.
type SlowPolicy uint8

const (
	// SlowClose closes the connection with 1013.
	SlowClose SlowPolicy = iota
	// SlowDropNewest drops the message.
	SlowDropNewest
	// SlowDropOldest drops the oldest messages of the topic that wait.
	SlowDropOldest
	// SlowConflate keeps, of messages published with a key, the latest of each,
	// at its place in the order; others are treated as by SlowDropNewest.
	SlowConflate
	// SlowUnsubscribe ends the subscription at the message, and OnUnsubscribe is called
	// once everything in front of it is sent. As the policy of a topic, it counts for
	// connections that have one of their own too.
	SlowUnsubscribe
)

// Slow is a policy for subscribers that read more slowly than is published. It
// applies from when a subscriber's connection takes no more, or a fragmented
// message is under way on it, until everything is sent. What was published before
// the loop noticed that, at the end of its iteration, is sent whatever the policy.
//
// A direct send commits what waits for its connection: it keeps its place in the
// order, and cannot be dropped or replaced any more. So do Close, Unsubscribe and
// the close frame of the peer. Where messages are missing, nothing behind the gap
// is committed before OnGap was called: a direct send goes before it, and Close
// has the loop call OnGap first.
type Slow struct {
	Policy SlowPolicy
	// Limit is the most bytes that wait for one subscriber. Default:
	// Limits.MaxQueued of the server; NoLimit turns it off. A message that is queued
	// counts as the subscriber gets it, compressed or not; one that may still be
	// dropped or replaced, as it was published, with its key and 100 bytes more,
	// which is what keeping it takes.
	Limit int
	// Timeout is for how long a subscriber may take less than 1 KiB while
	// messages wait; after that its queue counts as full. Default: off, so that
	// only Limits.WriteTimeout applies, which drops the connection.
	Timeout time.Duration
}

// withDefaults returns s as the fan-out applies it.
func (s Slow) withDefaults(e *settings) fanout.Slow {
	setDefault(&s.Limit, e.policy.Limit)
	return fanout.Slow{Policy: fanout.Policy(s.Policy), Limit: s.Limit, Timeout: s.Timeout}
}

// override returns what replaces the policy of the server: nil for the zero Slow.
func (s Slow) override(e *settings) *fanout.Slow {
	if s == (Slow{}) {
		return nil
	}
	rules := s.withDefaults(e)
	return &rules
}
