package chat

import (
	"testing"

	"github.com/fanloop-go/fanloop/bench/report"
)

// The memory of a user is the difference to the memory without users, divided by their number.
func TestMemoryIsOfOneUser(t *testing.T) {
	round := make(report.Round)
	memory{rss: 9000, kernel: 500, slab: 4000, heap: 3000}.addTo(round, memory{rss: 1000, kernel: 100, slab: 2000, heap: 1000}, 4)
	for key, want := range map[string]float64{"rss": 9000, "rss_conn": 2000, "kernel_conn": 100, "slab_conn": 500, "heap_conn": 500} {
		if round[key] != want {
			t.Errorf("%s is %v, want %v", key, round[key], want)
		}
	}
	round = make(report.Round)
	if (memory{}).addTo(round, memory{}, 4); len(round) != 0 {
		t.Errorf("%v of nothing that is known", round)
	}
}

func TestSlabIsReadFromMeminfo(t *testing.T) {
	if got := slabOf("MemTotal:  10 kB\nSlab:   55 kB\nSReclaimable: 5 kB\n"); got != 55<<10 {
		t.Error(got)
	}
	if got := slabOf("MemTotal:  10 kB\n"); got != 0 {
		t.Error(got)
	}
}
