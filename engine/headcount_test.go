package engine

import (
	"sync"
	"sync/atomic"
	"testing"
)

// R07: however many come at once, no more have a place than the limit says, and no
// more are told than may be.
func TestHeadcountHoldsItsLimits(t *testing.T) {
	const limit, tell = 3, 2
	var h headcount
	var taken, told atomic.Int64
	var visitors sync.WaitGroup
	for range 8 {
		visitors.Go(func() {
			for range 20_000 {
				switch h.enter(limit, tell) {
				case entryTaken:
					if n := taken.Add(1); n > limit {
						t.Errorf("%d have a place", n)
					}
					taken.Add(-1)
					h.leave()
				case entryTold:
					if n := told.Add(1); n > tell {
						t.Errorf("%d are told", n)
					}
					told.Add(-1)
					h.told()
					h.leave()
				case entryDenied:
				}
			}
		})
	}
	visitors.Wait()
	if word := h.word.Load(); word != 0 {
		t.Errorf("%x is left", word)
	}
}

func TestHeadcount(t *testing.T) {
	var h headcount
	for i, want := range []entry{entryTaken, entryTaken, entryTold, entryDenied} {
		if got := h.enter(2, 1); got != want {
			t.Errorf("the %dth: %d, want %d", i+1, got, want)
		}
	}
	if h.all() != 3 || h.enter(0, 0) != entryTaken || h.leave() != 3 {
		t.Errorf("%d are counted, want 3", h.all())
	}
	h.leave() // one that has a place
	if got := h.enter(2, 1); got != entryTaken {
		t.Errorf("a free place: %d", got)
	}
	h.told()
	if h.leave() != 2 || h.enter(2, 1) != entryTold {
		t.Error("who was told leaves no place, and may be followed by another")
	}
}
