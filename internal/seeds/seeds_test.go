package seeds

import (
	"slices"
	"testing"
)

func TestSeedsAreTheSameUnlessOthersAreAskedFor(t *testing.T) {
	for _, k := range []struct {
		name, seed, rounds string
		want               []uint64
	}{
		{"default", "", "", []uint64{1, 2, 3}},
		{"one", "12", "", []uint64{12}},
		{"one of more", "12", "5", []uint64{12}},
		{"more", "", "5", []uint64{1, 2, 3, 4, 5}},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Setenv(seedVariable, k.seed)
			t.Setenv(roundsVariable, k.rounds)
			if got := played(t); !slices.Equal(got, k.want) {
				t.Errorf("played %v, want %v", got, k.want)
			}
			if got := First(t); got != k.want[0] {
				t.Errorf("the first is %d, want %d", got, k.want[0])
			}
		})
	}
}

func TestRandomSeedsDiffer(t *testing.T) {
	t.Setenv(seedVariable, "random")
	t.Setenv(roundsVariable, "")
	a, b := played(t), played(t)
	if a[0] == b[0] || a[1] != a[0]+1 {
		t.Errorf("played %v, then %v", a, b)
	}
}

func played(t *testing.T) (seeds []uint64) {
	Each(t, 3, func(_ *testing.T, seed uint64) { seeds = append(seeds, seed) })
	return seeds
}
