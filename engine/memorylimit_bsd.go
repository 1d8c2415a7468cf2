//go:build darwin || freebsd

package engine

import (
	"math"

	"golang.org/x/sys/unix"
)

// machineMemory is what the machine has; math.MaxInt64 if that is unknown.
func machineMemory() int64 {
	for _, name := range []string{"hw.memsize", "hw.physmem"} { // macOS, FreeBSD
		if n, err := unix.SysctlUint64(name); err == nil && n > 0 {
			return int64(min(n, math.MaxInt64))
		}
	}
	return math.MaxInt64
}

// cgroupMemory knows of no limit: there are no cgroups.
func cgroupMemory() int64 { return math.MaxInt64 }
