package engine

import (
	"math"
	"runtime/debug"
	"sync"
)

// memoryBudget is what Limits.MaxMemory stands for: 0 is the default, and a negative
// number is none, for which it returns 0.
func memoryBudget(limit int) int {
	switch {
	case limit > 0:
		return limit
	case limit < 0:
		return 0
	}
	return int(min(usableMemory()/4, math.MaxInt))
}

// usableMemory is how many bytes this process may use: the least of GOMEMLIMIT,
// the limit of its cgroup, and what the machine has.
func usableMemory() int64 { return min(debug.SetMemoryLimit(-1), systemMemory()) }

// systemMemory is the least of the cgroup's limit and what the machine has.
var systemMemory = sync.OnceValue(func() int64 { return min(cgroupMemory(), machineMemory()) })
