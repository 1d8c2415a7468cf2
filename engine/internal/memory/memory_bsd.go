//go:build darwin || freebsd

package memory

import (
	"math"

	"golang.org/x/sys/unix"
)

// machine returns the bytes that the machine has, math.MaxInt64 if that is unknown.
func machine() int64 {
	for _, name := range []string{"hw.memsize", "hw.physmem"} { // macOS, FreeBSD
		if n, err := unix.SysctlUint64(name); err == nil && n > 0 {
			return int64(min(n, math.MaxInt64))
		}
	}
	return math.MaxInt64
}

// cgroup returns no limit: there are no cgroups.
func cgroup() int64 { return math.MaxInt64 }
