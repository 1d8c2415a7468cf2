// Package timing counts how long things take, in buckets as Prometheus has them.
package timing

import (
	"sync/atomic"
	"time"
)

// Bounds are the upper ends of the buckets of a Timing, in seconds.
var Bounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// Counter counts how long something took. Its zero value is ready. Any goroutine.
type Counter struct {
	buckets [len(Bounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

// Add counts one that took d.
func (t *Counter) Add(d time.Duration) {
	i := 0
	for i < len(Bounds) && d.Seconds() > Bounds[i] {
		i++
	}
	t.buckets[i].Add(1)
	t.sum.Add(int64(d))
}

// Timing is how often something took how long.
type Timing struct {
	Buckets [len(Bounds)]uint64 // of those that took at most so long, the shorter ones too
	Count   uint64
	Sum     time.Duration
}

// Value returns what was counted.
func (t *Counter) Value() (v Timing) {
	for i := range t.buckets {
		v.Count += t.buckets[i].Load()
		if i < len(v.Buckets) {
			v.Buckets[i] = v.Count
		}
	}
	v.Sum = time.Duration(t.sum.Load())
	return v
}
