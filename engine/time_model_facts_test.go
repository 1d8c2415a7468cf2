//go:build linux

package engine_test

import (
	"math"
	"time"
)

// flow is how many bytes went through, and when. Times are those of the clock, which
// stands still in each moment.
type flow []flowed

type flowed struct {
	at time.Duration
	n  int
}

func (f *flow) add(at time.Duration, n int) {
	if n > 0 {
		*f = append(*f, flowed{at, n})
	}
}

// since returns the bytes of all moments after from.
func (f flow) since(from time.Duration) int { return f.between(from, math.MaxInt64) }

// between returns the bytes of all moments after from and before to.
func (f flow) between(from, to time.Duration) (n int) {
	for i := len(f) - 1; i >= 0 && f[i].at > from; i-- {
		if f[i].at < to {
			n += f[i].n
		}
	}
	return n
}

// rateMeter is how much of a rate of events is used up: at most one second of it is
// within it.
type rateMeter struct {
	level    float64
	at       time.Duration
	exceeded bool
}

func (m *rateMeter) levelAt(now time.Duration, limit int) float64 {
	return max(0, m.level-float64(limit)*(now-m.at).Seconds())
}

func (m *rateMeter) add(now time.Duration, limit int) {
	m.level, m.at = m.levelAt(now, limit)+1, now
	m.exceeded = m.exceeded || limit > 0 && m.level > float64(limit)
}

// facts is what a peer did, as it knows itself: what the rules go by.
type facts struct {
	someAt   time.Duration // anything it sent left last
	heardAt  time.Duration // all it sent had left last
	letterAt time.Duration // a letter was whole last
	begunAt  time.Duration // a letter was begun last
	endAt    time.Duration // it ended the connection; 0: it did not
	taken    flow          // bytes that reached it
	arrived  flow          // bytes of letters that reached the server
	sent     int           // bytes of all
	had      int           // bytes that reached it by now
	rate     rateMeter     // of its pings and pongs
	clear    bool          // at the end of the last moment it had read and answered everything
}
