package service

import (
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// counts are what a node has done. Any goroutine.
type counts struct {
	errors    map[protocol.Code]*atomic.Uint64 // immutable map; answered to commands
	closings  map[protocol.Code]*atomic.Uint64 // immutable map; last frames of connections
	commands  atomic.Uint64
	stored    timing // publishes, the repeated ones too
	repeated  atomic.Uint64
	unstored  atomic.Uint64
	read      timing // pages of history
	unread    atomic.Uint64
	overloads atomic.Uint64 // questions that the crew had no place for
}

func newCounts() *counts {
	c := &counts{errors: make(map[protocol.Code]*atomic.Uint64), closings: make(map[protocol.Code]*atomic.Uint64)}
	for _, code := range protocol.Codes() {
		c.errors[code], c.closings[code] = new(atomic.Uint64), new(atomic.Uint64)
	}
	return c
}

// sent counts a frame to one client.
func (c *counts) sent(f protocol.Frame) {
	switch f := f.(type) {
	case *protocol.Error:
		count(c.errors, f.Code)
	case *protocol.Closing:
		count(c.closings, f.Code)
	}
}

func count(of map[protocol.Code]*atomic.Uint64, code protocol.Code) {
	if n := of[code]; n != nil {
		n.Add(1)
	}
}

func valuesAt(of map[protocol.Code]*atomic.Uint64) map[protocol.Code]uint64 {
	all := make(map[protocol.Code]uint64, len(of))
	for code, n := range of {
		all[code] = n.Load()
	}
	return all
}

// TimingBounds are the upper ends of the buckets of a Timing, in seconds.
var TimingBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// timing counts how long something took.
type timing struct {
	buckets [len(TimingBounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

func (t *timing) add(d time.Duration) {
	i := 0
	for i < len(TimingBounds) && d.Seconds() > TimingBounds[i] {
		i++
	}
	t.buckets[i].Add(1)
	t.sum.Add(int64(d))
}

// Timing is how often something took how long.
type Timing struct {
	Buckets [len(TimingBounds)]uint64 // of those that took at most so long, the shorter ones too
	Count   uint64
	Sum     time.Duration
}

func (t *timing) value() (v Timing) {
	for i := range t.buckets {
		v.Count += t.buckets[i].Load()
		if i < len(v.Buckets) {
			v.Buckets[i] = v.Count
		}
	}
	v.Sum = time.Duration(t.sum.Load())
	return v
}
