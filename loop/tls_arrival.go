package loop

import "time"

// arrival is what is known of a record that has come in part: the handler gets
// nothing of it before it is whole, but the peer gets on.
type arrival struct {
	heard time.Duration // when bytes last came
	n     int           // bytes of the record; 0: none is under way
	moved time.Duration // when it began, or was last seen to have MinProgress more
}

// left notes that n bytes of a record wait for the rest; anew says that records
// before it were whole.
func (a *arrival) left(n int, anew bool, now time.Duration) {
	if n == 0 || a.n == 0 || anew || n-a.n >= MinProgress {
		a.n, a.moved = n, now
	}
}

// Heard returns when bytes of a TLS record last came, as [Loop.Now] was then; ok
// says that some did. OnData comes later, when the record is whole. Loop only.
func (c *Conn) Heard() (at time.Duration, ok bool) {
	if c.tls == nil || c.tls.arrival.heard == 0 || !lending.Load() {
		return 0, false
	}
	return c.tls.arrival.heard, true
}

// Unopened reports whether a part of a TLS record waits for its rest, and for how
// long less than MinProgress of it has come. Where this package cannot look behind
// the API of crypto/tls, it always says no. Loop only.
func (c *Conn) Unopened() (stalled time.Duration, some bool) {
	t := c.tls
	if t == nil || t.arrival.n == 0 || t.unread || !lending.Load() {
		return 0, false
	}
	return c.loop.now - t.arrival.moved, true
}

// RestUnopened starts the clock of Unopened anew, for a handler that has paused
// reading. Loop only.
func (c *Conn) RestUnopened() {
	if c.tls != nil {
		c.tls.arrival.moved = c.loop.now
	}
}
