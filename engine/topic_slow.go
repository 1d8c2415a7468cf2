package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// SlowPolicy is what a publish does for a subscriber whose queue is full.
type SlowPolicy uint8

const (
	// SlowClose closes the connection with 1013.
	SlowClose SlowPolicy = iota
	// SlowDropNewest drops the message.
	SlowDropNewest
	// SlowDropOldest drops the oldest messages of the topic that wait.
	SlowDropOldest
	// SlowConflate keeps the latest message of each Key, in place of the one that waits.
	// Messages without a Key are treated as by SlowDropNewest.
	SlowConflate
	// SlowUnsubscribe ends the subscription in front of the message. OnUnsubscribe is called
	// once everything before it is sent. As the policy of a topic it also replaces the
	// policies that connections have of their own.
	SlowUnsubscribe
)

// Slow is the policy for subscribers that read more slowly than is published. A subscriber
// is slow from when its connection takes no more, or has a fragmented message under way,
// until everything is sent. Its loop notices that at the end of an iteration: what was
// published before is sent whatever the policy.
//
// A direct send commits the messages that wait for its connection: they keep their order but
// can no longer be dropped or replaced. So do Close, Unsubscribe and the close frame of the
// peer. Where messages are missing, nothing behind the gap is committed before OnGap has been
// called: a direct send goes before it, and Close has the loop call OnGap first.
type Slow struct {
	Policy SlowPolicy
	// Limit bounds the bytes that wait for one subscriber. A message that is queued counts as
	// the subscriber gets it, compressed or not. One that can still be dropped or replaced
	// counts as it was published, with its key and 100 bytes. Default: Limits.MaxQueued of
	// the server; NoLimit turns it off.
	Limit int
	// Timeout bounds the time in which a subscriber takes less than 1 KiB while messages
	// wait. Beyond it its queue counts as full. Default: off; then only Limits.WriteTimeout
	// applies, which drops the connection.
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
