//go:build !linux

package load

import (
	"fmt"
	"time"
)

var origin = time.Now()

// now is a monotonic clock in nanoseconds.
func now() int64 { return int64(time.Since(origin)) }

// cpuTimes reads the CPU time in nanoseconds of this process. That of others
// cannot be read here.
func cpuTimes(pid int) (own, other int64, err error) {
	if pid != 0 {
		return 0, 0, fmt.Errorf("the CPU time of another process can be read on Linux only")
	}
	own, err = ownCPU()
	return own, 0, err
}

func preciseSleep() {}

// sleepUntil waits for the clock of now to reach at.
func sleepUntil(at int64) { time.Sleep(time.Duration(at - now())) }

// HasProcessCPU says that the CPU time of other processes can be read here.
const HasProcessCPU = false

// ProcessCPU is the CPU time that process pid has used; 0 for pid 0.
func ProcessCPU(pid int) (time.Duration, error) {
	_, other, err := cpuTimes(pid)
	return time.Duration(other), err
}
