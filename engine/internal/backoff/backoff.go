// Package backoff says how long to wait before another attempt, and when to give
// up. The wait is random between 0 and a ceiling that doubles (full jitter), so
// that clients of a server that went away do not all come back at once.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy bounds waits and attempts. Every field is set.
type Policy struct {
	BaseDelay   time.Duration // the first ceiling
	MaxDelay    time.Duration // the highest ceiling; at least BaseDelay
	StableAfter time.Duration // from then on a connection begins the waits anew
	MaxAttempts int           // in a row without a stable connection; 0 or less: any number
	MaxElapsed  time.Duration // without a stable connection; 0 or less: any time
}

// Clock is time and chance.
type Clock struct {
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error // fails when ctx is done
	Rand  func(n int64) int64                              // 0 to n-1
}

// Real is the clock of the machine.
var Real = Clock{Now: time.Now, Sleep: sleep, Rand: rand.Int64N}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hint is what the other side says about the next attempt. The zero value says
// nothing.
type Hint struct {
	After  time.Duration // not before that
	Spread time.Duration // the ceiling is at least this, as far as MaxDelay allows
	Busy   bool          // wait between half of MaxDelay and all of it
}

// Backoff is the attempts of one client. Owned by one goroutine.
type Backoff struct {
	policy  Policy
	clock   *Clock
	ceiling time.Duration // of the next wait
	misses  int           // attempts in a row without a stable connection
	since   time.Time     // when there last was one
}

// New begins with the first attempt.
func New(p Policy, clock *Clock) *Backoff {
	return &Backoff{policy: p, clock: clock, ceiling: p.BaseDelay, since: clock.Now()}
}

// End counts the end of an attempt whose connection stood for a while, 0 if it
// made none.
func (b *Backoff) End(stood time.Duration) {
	if stood >= b.policy.StableAfter {
		b.misses, b.ceiling, b.since = 0, b.policy.BaseDelay, b.clock.Now()
		return
	}
	b.misses++
}

// Misses returns the number of attempts in a row without a stable connection, and
// whether MaxAttempts is used up.
func (b *Backoff) Misses() (n int, spent bool) {
	return b.misses, b.policy.MaxAttempts > 0 && b.misses >= b.policy.MaxAttempts
}

// Next returns how long to wait before the next attempt. ok is false if that
// would be after MaxElapsed. The ceiling doubles.
func (b *Backoff) Next(h Hint) (delay time.Duration, ok bool) {
	p := &b.policy
	switch {
	case h.Busy:
		delay = p.MaxDelay/2 + b.jitter(p.MaxDelay/2)
	default:
		delay = h.After + b.jitter(max(b.ceiling, min(h.Spread, p.MaxDelay)))
	}
	b.ceiling = min(2*b.ceiling, p.MaxDelay)
	return delay, p.MaxElapsed <= 0 || b.clock.Now().Add(delay).Sub(b.since) <= p.MaxElapsed
}

// jitter returns a random time of at most d.
func (b *Backoff) jitter(d time.Duration) time.Duration {
	return time.Duration(b.clock.Rand(int64(d) + 1))
}
