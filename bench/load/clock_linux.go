package load

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// origin ties Go's monotonic clock, which is cheap to read, to the system's,
// which other processes share.
var origin = func() (o struct {
	at   time.Time
	base int64
}) {
	o.at = time.Now()
	o.base, _ = readClock(unix.CLOCK_MONOTONIC) // always there
	return o
}()

// now is the system's monotonic clock in nanoseconds.
func now() int64 { return origin.base + int64(time.Since(origin.at)) }

func readClock(id int32) (int64, error) {
	var t unix.Timespec
	err := unix.ClockGettime(id, &t)
	return t.Nano(), err
}

// cpuTimes reads the CPU time, in nanoseconds of all threads, of this process
// and of process pid; that is 0 for pid 0.
func cpuTimes(pid int) (own, other int64, err error) {
	if pid != 0 {
		id := int32(^pid<<3 | 2) // what clock_getcpuclockid makes of it
		if other, err = readClock(id); err != nil {
			return 0, 0, fmt.Errorf("the CPU clock of the server (process %d) cannot be read, so it has ended: %w", pid, err)
		}
	}
	own, err = readClock(unix.CLOCK_PROCESS_CPUTIME_ID)
	return own, other, err
}

// preciseSleep makes sleeps of the calling goroutine's thread end on time, not
// within the usual 50 µs. The thread stays locked to the goroutine.
func preciseSleep() {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // sleeps end later without it
}

// sleepUntil waits for the clock of now to reach at.
func sleepUntil(at int64) {
	t := unix.NsecToTimespec(at)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil) == unix.EINTR {
	}
}

// HasProcessCPU says that the CPU time of other processes can be read here.
const HasProcessCPU = true

// ProcessCPU is the CPU time that process pid has used, all its threads together
// and also those that have ended, to the nanosecond; 0 for pid 0.
func ProcessCPU(pid int) (time.Duration, error) {
	_, other, err := cpuTimes(pid)
	return time.Duration(other), err
}
