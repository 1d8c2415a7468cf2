package engine

import (
	"runtime/debug"
	"testing"
)

func TestBudgetIsAQuarterOfWhatTheProcessMayUse(t *testing.T) {
	before := debug.SetMemoryLimit(400 << 20)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[int]int{0: 100 << 20, 1000: 1000, NoLimit: 0} {
		if got := memoryBudget(limit); got != want {
			t.Errorf("MaxMemory %d: the budget is %d, want %d", limit, got, want)
		}
	}
}
