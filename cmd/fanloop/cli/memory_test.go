package cli

import (
	"slices"
	"testing"
)

// Memory is given back once for each storm of connections, when it is over.
func TestMemoryIsGivenBackAfterAStorm(t *testing.T) {
	for name, c := range map[string]struct {
		conns []int // at each look
		turns []int // looks at which memory is given back
	}{
		"few connections":         {[]int{0, 500, 900, 900, 0, 0}, nil},
		"a storm":                 {[]int{0, 4000, 9000, 15_000, 15_000, 15_000, 15_000}, []int{4}},
		"two, the second smaller": {[]int{10_000, 10_000, 12_000, 12_000, 14_000, 14_000}, []int{1, 5}},
		"connections trickle in":  {[]int{20_000, 20_100, 20_200, 20_300}, []int{1}},
		"some come, as many go":   {[]int{20_000, 20_000, 20_900, 19_900, 20_500, 20_000}, []int{1}},
		"all leave":               {[]int{15_000, 15_000, 7000, 0, 0, 0}, []int{1, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			var at tide
			var turns []int
			for i, n := range c.conns {
				if at.turned(n) {
					turns = append(turns, i)
				}
			}
			if !slices.Equal(turns, c.turns) {
				t.Errorf("given back at %v, want %v", turns, c.turns)
			}
		})
	}
}
