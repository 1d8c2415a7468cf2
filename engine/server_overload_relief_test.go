package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/fanloop-go/fanloop/internal/seeds"
)

func TestSizeClassesAreInTheOrderOfSizesAndNarrow(t *testing.T) {
	last := 0
	for n := 1; n < 1<<20; n++ {
		class := sizeClass(n)
		if class != last && class != last+1 {
			t.Fatalf("the class of %d is %d, before it is %d", n, class, last)
		}
		last = class
	}
	for n := 1 << 10; n < math.MaxInt/2; n *= 2 {
		if a, b := sizeClass(n), sizeClass(n+n/7); a == b {
			t.Errorf("%d and %d are in class %d both", n, n+n/7, a)
		}
	}
	if class := sizeClass(math.MaxInt); class >= sizeClasses {
		t.Errorf("the largest class is %d", class)
	}
}

// The mark is the highest one with which enough is given up.
func TestMarkIsNoLowerThanNeeded(t *testing.T) {
	random := rand.New(rand.NewPCG(seeds.First(t), 1))
	for range 1000 {
		var r relief
		sizes, total := make([]int, random.IntN(50)), 0
		for i := range sizes {
			sizes[i] = random.IntN(1 << random.IntN(24))
			total += sizes[i]
			r.sums[sizeClass(sizes[i])] += sizes[i]
		}
		excess := random.IntN(total + 2)
		r.setMark(excess)
		above, at := 0, 0
		for _, n := range sizes {
			switch class := sizeClass(n); {
			case class > r.mark:
				above += n
			case class == r.mark:
				at += n
			}
		}
		if above+at < excess && r.mark > 0 {
			t.Fatalf("%d are to be given up, %d and %d are at the mark and above", excess, at, above)
		}
		if above >= excess && above > 0 {
			t.Fatalf("%d are to be given up, %d are above the mark", excess, above)
		}
		if r.excess != excess-above {
			t.Fatalf("%d are to be given up at the mark, want %d", r.excess, excess-above)
		}
	}
}
