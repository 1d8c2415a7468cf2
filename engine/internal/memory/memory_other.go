//go:build !(linux || darwin || freebsd)

package memory

import "math"

// machine returns no limit: this package does not ask this system.
func machine() int64 { return math.MaxInt64 }

// cgroup returns no limit: there are no cgroups.
func cgroup() int64 { return math.MaxInt64 }
