package limits

import (
	"math"
	"sync/atomic"
	"time"
)

// Rate is so much in a second, on the average, and so much at once. The zero value is
// no limit.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// cost is the time that n of the rate take.
func (r Rate) cost(n float64) time.Duration {
	return time.Duration(min(n/r.PerSecond*float64(time.Second), math.MaxInt64/4))
}

// off reports whether there is no limit.
func (r Rate) off() bool { return r.PerSecond <= 0 }

// bucket is the state of one rate for one user: the time at which it is full again.
// (The generic cell rate algorithm of ITU-T I.371.)
type bucket struct{ full atomic.Int64 }

// take takes n, or returns after what time there is so much. More than Burst is taken
// as Burst.
func (b *bucket) take(r Rate, c *Clock, n float64) (retry time.Duration) {
	if r.off() {
		return 0
	}
	burst := max(r.Burst, 1)
	cost, room := r.cost(min(n, burst)), r.cost(burst)
	now, since := c.times()
	for {
		full := b.full.Load()
		next := max(time.Duration(full), since) + cost
		if retry := next - now - room; retry > 0 {
			return retry
		}
		if b.full.CompareAndSwap(full, int64(next)) {
			return 0
		}
	}
}

// maxDebt is how long it takes at most until what is owed is there.
const maxDebt = 30 * time.Second

// owe takes n that has been used already. What comes afterwards waits for it.
func (b *bucket) owe(r Rate, c *Clock, n float64) {
	if r.off() {
		return
	}
	now, since := c.times()
	most := now + r.cost(max(r.Burst, 1)) + maxDebt
	for {
		full := b.full.Load()
		next := min(max(time.Duration(full), since)+r.cost(n), max(most, time.Duration(full)))
		if b.full.CompareAndSwap(full, int64(next)) {
			return
		}
	}
}

// recovered reports whether it is as if nothing had been taken.
func (b *bucket) recovered(now time.Duration) bool { return time.Duration(b.full.Load()) <= now }
