package loop

import (
	"sync/atomic"
)

// Use is what memory is held for.
type Use uint8

const (
	// UseQueues is the outboxes: their buffers and lists at their full size. Bytes
	// that connections share are counted apart, see [Group.Shared].
	UseQueues Use = iota
	// UseMessages is what waits for connections elsewhere than in their outboxes.
	UseMessages
	// UseReceived is what was received and is not delivered.
	UseReceived
	// UseHandshakes is what connections need until they are open.
	UseHandshakes
	uses
)

// ledger counts what the connections of a loop hold. Any goroutine.
type ledger struct {
	held     [uses]atomic.Int64 // bytes of memory
	referred atomic.Int64       // what Shared cost, counted at each place that holds one
	queued   atomic.Int64       // bytes that connections are to get
	tls      atomic.Int64       // state of connections whose TLS handshake is over
	over     atomic.Bool        // more than the budget is held, and OnOverBudget is at work
}

// freshMost is how much HoldHere may keep from others.
const freshMost = 64 << 10

// Hold counts n more bytes that are held for use, fewer if n is negative. Any
// goroutine.
func (l *Loop) Hold(use Use, n int) {
	if n != 0 {
		l.ledger.held[use].Add(int64(n))
	}
	if n > 0 {
		l.Spent(0)
	}
}

// HoldHere is Hold without an atomic operation. Others see it after the iteration,
// or when it is more than 64 KiB. Loop only.
func (l *Loop) HoldHere(use Use, n int) {
	fresh := &l.fresh[use]
	*fresh += n
	if *fresh >= freshMost || *fresh <= -freshMost {
		l.Hold(use, *fresh)
		*fresh = 0
	}
}

// countFresh counts what HoldHere kept back. Loop only.
func (l *Loop) countFresh() {
	for use, n := range l.fresh {
		if n != 0 {
			l.Hold(Use(use), n)
			l.fresh[use] = 0
		}
	}
}

// Refer counts one more place on l that holds s. Any goroutine.
func (l *Loop) Refer(s *Shared) {
	s.enter(l.group)
	l.ledger.referred.Add(int64(s.Cost()))
}

// Forget takes one Refer back. Any goroutine.
func (l *Loop) Forget(s *Shared) {
	s.leave()
	l.ledger.referred.Add(int64(-s.Cost()))
}

// CountQueued adds n bytes that connections are to get, besides those in their
// outboxes. Any goroutine.
func (l *Loop) CountQueued(n int) { l.ledger.queued.Add(int64(n)) }

// Queued returns the bytes that the loop's connections are to get: those in their
// outboxes, and those of CountQueued. What connections share counts for each. Any
// goroutine.
func (l *Loop) Queued() int { return int(l.ledger.queued.Load()) }

// HeldFor returns the bytes of memory that are held for use. Any goroutine.
func (l *Loop) HeldFor(use Use) int { return int(l.ledger.held[use].Load()) }

// Held returns the bytes of memory that the loop's connections hold, with their
// part of what the group's connections share. Any goroutine.
func (l *Loop) Held() int {
	n := l.own()
	if referred := l.ledger.referred.Load(); referred > 0 {
		n += int(float64(referred) * l.group.sharedPart())
	}
	return n
}

// HeldByTLS returns about what connections hold whose TLS handshake is over, which
// is not in Held. Any goroutine.
func (l *Loop) HeldByTLS() int { return int(l.ledger.tls.Load()) }

// own is Held without what is shared.
func (l *Loop) own() (n int) {
	for use := range l.ledger.held {
		n += int(l.ledger.held[use].Load())
	}
	return n
}

// Budget returns the loop's part of Config.Budget; 0 means none.
func (l *Loop) Budget() int { return int(l.budget) }

// Spent reports whether n more bytes would exceed the budget of the loop, in which
// case OnOverBudget is called on it. Any goroutine.
func (l *Loop) Spent(n int) bool {
	budget := l.Budget()
	switch {
	case budget == 0:
		return false
	case l.own()+int(l.ledger.referred.Load())+n <= budget: // as if nothing were shared
		return false
	case l.Held()+n <= budget:
		return false
	}
	if !l.ledger.over.Swap(true) {
		_ = l.post(mail{fn: l.overload}) // ended: its connections are gone
	}
	return true
}

// overBudget calls OnOverBudget. If that does not return, nobody calls Relieved.
func (l *Loop) overBudget() {
	returned := false
	defer func() {
		if !returned {
			l.ledger.over.Store(false)
		}
	}()
	l.callOverBudget()
	returned = true
}

// Over reports whether the budget of the loop is spent and Relieved was not called
// yet. Writes to connections that have bytes waiting return ErrBackpressure. Any
// goroutine.
func (l *Loop) Over() bool { return l.ledger.over.Load() }

// Relieved ends what OnOverBudget began. If the budget is spent again,
// OnOverBudget is called again. Any goroutine.
func (l *Loop) Relieved() {
	l.ledger.over.Store(false)
	l.Spent(0)
}

// Shared returns what the Shared cost that the group's connections hold, each
// counted once. Any goroutine.
func (g *Group) Shared() int { return max(0, int(g.shared.Load())) }

// sharedPart is the part of what the Shared cost that falls to each place that
// holds one: 1 where each has one place only.
func (g *Group) sharedPart() float64 {
	var referred int64
	for _, l := range g.loops {
		referred += l.ledger.referred.Load()
	}
	if referred <= 0 {
		return 0
	}
	return float64(g.Shared()) / float64(referred)
}

// SharedPart returns the part of what a Shared costs that falls to each place that
// holds it, as a mean: 1 where each has one place only. Any goroutine.
func (l *Loop) SharedPart() float64 { return l.group.sharedPart() }

// load is what an outbox holds.
type load struct {
	bytes    int // to be sent
	cost     int // memory of its own
	referred int // what its Shared cost
}

// carry counts what changed in an outbox that was counted as from, and now holds
// to. Any goroutine.
func (l *Loop) carry(from, to load) {
	if n := to.bytes - from.bytes; n != 0 {
		l.ledger.queued.Add(int64(n))
	}
	if n := to.referred - from.referred; n != 0 {
		l.ledger.referred.Add(int64(n))
	}
	if n := to.cost - from.cost; n != 0 {
		l.ledger.held[UseQueues].Add(int64(n))
	}
	if to.cost > from.cost || to.referred > from.referred {
		l.Spent(0)
	}
}

// tallyLocked counts what c has queued. It follows whatever changes the queue of a
// connection that waits for its socket.
func (c *Conn) tallyLocked() {
	o := c.out
	if o == nil || o == c.loop.cork {
		return
	}
	o.prepareToWait(c.loop.group)
	if now := o.load(); now != o.tallied {
		c.loop.carry(o.tallied, now)
		o.tallied = now
	}
}

// HeldLocked returns the memory that c holds for itself, without its handler, and
// what the Shared cost that it holds with others. For a caller that holds Lock.
func (c *Conn) HeldLocked() (own, shared int) {
	if o := c.out; o != nil && o != c.loop.cork {
		own, shared = o.tallied.cost, o.tallied.referred
	}
	if c.tls != nil {
		own += c.tls.tallied.handshake + c.tls.tallied.received
	}
	return own, shared
}
