package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are at most 1/32 wide of what they hold. The
// zero value is empty. Any goroutine.
type histogram struct {
	counts [60 * 32]atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-6, 0)
	h.counts[shift*32+int(v>>shift)].Add(1)
}

// percentile returns what percent of the durations do not exceed, rounded up to the end of
// its bucket; 0 if there are none.
func (h *histogram) percentile(percent float64) time.Duration {
	var total, seen int64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	for i := range h.counts {
		seen += h.counts[i].Load()
		if seen > 0 && float64(seen) >= percent/100*float64(total) {
			return end(i)
		}
	}
	return 0
}

// end returns the longest duration of bucket i.
func end(i int) time.Duration {
	shift := max(i/32-1, 0)
	return time.Duration((i-shift*32+1)<<shift - 1)
}
