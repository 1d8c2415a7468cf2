// Package memory reads how much memory this process may use.
package memory

import (
	"runtime/debug"
	"sync"
)

// Usable returns how many bytes this process may use: the least of GOMEMLIMIT,
// the limit of its cgroup, and what the machine has. math.MaxInt64 means that no
// limit is known. The cgroup and the machine are asked once in the process.
func Usable() int64 { return min(debug.SetMemoryLimit(-1), system()) }

// system is the least of the cgroup's limit and what the machine has.
var system = sync.OnceValue(func() int64 { return min(cgroup(), machine()) })
