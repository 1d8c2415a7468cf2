package headcount

import (
	"sync"
	"sync/atomic"
	"testing"
)

// R07: however many come at once, no more have a place than the limit says, and no
// more are refused with an answer than may be.
func TestHeadcountHoldsItsLimits(t *testing.T) {
	const limit, tell = 3, 2
	var h Count
	var taken, told atomic.Int64
	var visitors sync.WaitGroup
	for range 8 {
		visitors.Go(func() {
			for range 20_000 {
				switch h.Enter(limit, tell) {
				case Taken:
					if n := taken.Add(1); n > limit {
						t.Errorf("%d have a place", n)
					}
					taken.Add(-1)
					h.Leave()
				case Refused:
					if n := told.Add(1); n > tell {
						t.Errorf("%d are refused with an answer", n)
					}
					told.Add(-1)
					h.Refusal()
					h.Leave()
				case Denied:
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
	var h Count
	for i, want := range []Entry{Taken, Taken, Refused, Denied} {
		if got := h.Enter(2, 1); got != want {
			t.Errorf("the %dth: %d, want %d", i+1, got, want)
		}
	}
	if h.All() != 3 || h.Enter(0, 0) != Taken || h.Leave() != 3 {
		t.Errorf("%d are counted, want 3", h.All())
	}
	h.Leave() // one that has a place
	if got := h.Enter(2, 1); got != Taken {
		t.Errorf("a free place: %d", got)
	}
	h.Refusal()
	if h.Leave() != 2 || h.Enter(2, 1) != Refused {
		t.Error("who was refused leaves no place, and may be followed by another")
	}
}
