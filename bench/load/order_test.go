package load

import (
	"math/rand/v2"
	"testing"
)

// slowOrder counts what order counts, from the whole history.
func slowOrder(arrivals []uint32) (f Faults) {
	seen := make(map[uint32]bool)
	top := -1
	for _, seq := range arrivals {
		switch {
		case seen[seq]:
			f.Duplicated++
		case int(seq) < top:
			f.Reordered++
		}
		seen[seq] = true
		top = max(top, int(seq))
	}
	for seq := range top {
		if !seen[uint32(seq)] {
			f.Missing++
		}
	}
	return f
}

func TestOrderAgreesWithTheWholeHistory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		arrivals := make([]uint32, random.IntN(60))
		for i := range arrivals {
			arrivals[i] = uint32(max(0, i+random.IntN(9)-4))
		}
		var o order
		var f Faults
		for _, seq := range arrivals {
			o.see(seq, &f, 0, 0)
		}
		f.First = ""
		if want := slowOrder(arrivals); f != want {
			t.Fatalf("%v: found %+v, want %+v", arrivals, f, want)
		}
	}
}

func TestOrderGoesOnAfterItsNumbersWrap(t *testing.T) {
	o := order{next: 1<<32 - 2}
	var f Faults
	for _, seq := range []uint32{1<<32 - 2, 1<<32 - 1, 0, 1} {
		o.see(seq, &f, 0, 0)
	}
	if !f.None() || o.next != 2 {
		t.Fatalf("found %+v at %d", f, o.next)
	}
}
