package backoff

import (
	"context"
	"slices"
	"testing"
	"time"
)

// driven is time that passes only when it is told to, and chance that always
// waits a part of the longest time.
type driven struct {
	time  time.Time
	asked []int64 // what Rand was asked for
}

func (d *driven) clock(part int64) *Clock {
	d.time = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	return &Clock{
		Now:   func() time.Time { return d.time },
		Sleep: func(context.Context, time.Duration) error { panic("no sleep here") },
		Rand: func(n int64) int64 {
			d.asked = append(d.asked, n)
			return (n - 1) / part
		},
	}
}

func TestCeilingDoublesUpToItsBound(t *testing.T) {
	d := new(driven)
	b := New(Policy{BaseDelay: 100, MaxDelay: 300, StableAfter: 1000}, d.clock(4))
	var delays []time.Duration
	for range 4 {
		b.End(0)
		delay, ok := b.Next(Hint{})
		if !ok {
			t.Error("it gives up without a bound")
		}
		delays = append(delays, delay)
	}
	if !slices.Equal(d.asked, []int64{101, 201, 301, 301}) || !slices.Equal(delays, []time.Duration{25, 50, 75, 75}) {
		t.Errorf("chance was asked for numbers below %v, the waits were %v", d.asked, delays)
	}
}

func TestOnlyAStableConnectionBeginsAnew(t *testing.T) {
	d := new(driven)
	b := New(Policy{BaseDelay: 100, MaxDelay: 1 << 30, StableAfter: 10, MaxAttempts: 3}, d.clock(1))
	for i, want := range []struct {
		stood, delay time.Duration
		misses       int
		spent        bool
	}{{0, 100, 1, false}, {9, 200, 2, false}, {10, 100, 0, false}, {0, 200, 1, false}, {0, 400, 2, false}, {0, 800, 3, true}} {
		b.End(want.stood)
		misses, spent := b.Misses()
		if delay, _ := b.Next(Hint{}); delay != want.delay || misses != want.misses || spent != want.spent {
			t.Errorf("%d: %v after %d misses (spent %v), want %+v", i, delay, misses, spent, want)
		}
	}
}

func TestMaxElapsedCountsFromTheLastStableConnection(t *testing.T) {
	d := new(driven)
	b := New(Policy{BaseDelay: 100, MaxDelay: 100, StableAfter: 1000, MaxElapsed: 250}, d.clock(1))
	d.time = d.time.Add(5000)
	b.End(2000)
	for i, want := range []bool{true, true, false} {
		if _, ok := b.Next(Hint{}); ok != want {
			t.Errorf("wait %d: go on is %v", i, ok)
		}
		d.time = d.time.Add(100)
		b.End(0)
	}
}

func TestHintsOfTheOtherSide(t *testing.T) {
	for name, c := range map[string]struct {
		hint             Hint
		soonest, longest time.Duration
	}{
		"none":                    {Hint{}, 0, 100},
		"after":                   {Hint{After: 70}, 70, 170},
		"spread":                  {Hint{Spread: 400}, 0, 400},
		"spread below the usual":  {Hint{Spread: 40}, 0, 100},
		"spread above its bounds": {Hint{Spread: 5000}, 0, 1000},
		"busy":                    {Hint{Busy: true}, 500, 1000},
	} {
		for part, want := range map[int64]time.Duration{1: c.longest, 1 << 40: c.soonest} {
			b := New(Policy{BaseDelay: 100, MaxDelay: 1000, StableAfter: 1}, new(driven).clock(part))
			if got, _ := b.Next(c.hint); got != want {
				t.Errorf("%s: the wait is %v, want %v", name, got, want)
			}
		}
	}
}

func TestRealSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if Real.Sleep(ctx, time.Hour) == nil {
		t.Error("it slept for an hour")
	}
	if err := Real.Sleep(context.Background(), 0); err != nil {
		t.Error(err)
	}
}
