//go:build !portable

package loop

import (
	"testing"
	"time"
)

func openEpollPoller(t *testing.T) *epollPoller {
	t.Helper()
	p, err := newEpollPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	return p.(*epollPoller)
}

// Long waits share one timer of the kernel, which is set again for a nearer moment only. Short
// ones have a timeout.
func TestLongWaitsHaveNoTimeout(t *testing.T) {
	p, h := openEpollPoller(t), &turner{began: time.Now()}
	for _, step := range []struct {
		now, wait time.Duration
		timeout   int
		timer     time.Duration // set for
	}{
		{0, -1, -1, 0},
		{0, longSleep - 1, 100, 0},
		{0, time.Hour, -1, time.Hour},
		{time.Minute, time.Hour, -1, time.Hour}, // which it ends too early
		{time.Minute, -1, -1, time.Hour},
		{time.Minute, time.Minute, -1, 2 * time.Minute},
		{time.Minute, time.Hour, -1, 2 * time.Minute},
		{2*time.Minute - 5, 10, -1, 2 * time.Minute},
		{2*time.Minute - 5, 4, 1, 2 * time.Minute},
	} {
		p.now = step.now
		if got := p.timeout(h, step.wait); got != step.timeout || p.timer.at != step.timer {
			t.Errorf("at %v, to wait %v: a timeout of %d and the timer at %v, want %d and %v",
				step.now, step.wait, got, p.timer.at, step.timeout, step.timer)
		}
	}
}

// A long wait ends when its time has come and not before, also where the timer was set for
// an earlier moment.
func TestKernelTimerEndsLongWaits(t *testing.T) {
	const first, second = 2 * longSleep, 4 * longSleep
	p, h := openEpollPoller(t), &turner{began: time.Now()}
	var rest func() (time.Duration, bool)
	rest = func() (time.Duration, bool) {
		h.turns = append(h.turns, rest)
		return max(0, second-p.now), p.now >= second
	}
	h.turns = []func() (time.Duration, bool){
		func() (time.Duration, bool) { p.wake(); return first - p.now, false },
		func() (time.Duration, bool) {
			if p.timer.at != first {
				t.Errorf("the timer is set for %v, want %v", p.timer.at, first)
			}
			return rest()
		},
	}
	if err := p.run(h); err != nil {
		t.Fatal(err)
	}
	if p.timer.at != 0 {
		t.Errorf("the timer is set for %v at the end: it did not end the wait until then", p.timer.at)
	}
}
