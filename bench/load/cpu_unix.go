//go:build unix && !linux

package load

import "golang.org/x/sys/unix"

// ownCPU is the CPU time in nanoseconds of this process.
func ownCPU() (int64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return u.Utime.Nano() + u.Stime.Nano(), nil
}
