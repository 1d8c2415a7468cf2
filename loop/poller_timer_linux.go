//go:build !portable

package loop

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// longSleep is where a kernelTimer begins to pay: at most ten times a second it is set, and
// wakes a loop for nothing.
const longSleep = 100 * time.Millisecond

// kernelTimer ends long waits of a poller. A wait with a timeout has the kernel set a timer
// and take it back each time, which is 5 % of an echo on one connection. A kernelTimer is
// set once and stays set: it is never put off, so it may wake the loop early. Owned by the
// loop.
type kernelTimer struct {
	fd int           // of a timerfd, immutable
	at time.Duration // since the group started; 0: it is not set
}

func newKernelTimer() (kernelTimer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	return kernelTimer{fd: fd}, os.NewSyscallError("timerfd_create", err)
}

// register adds the timer to an epoll instance, edge-triggered: that it fired is reported
// once, and nobody has to read it.
func (t *kernelTimer) register(epoll int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(t.fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, t.fd, &ev))
}

// ends says whether the timer, as it is set, ends a wait until the moment at.
func (t *kernelTimer) ends(at time.Duration) bool { return t.at != 0 && t.at <= at }

// set has the timer fire at the moment at, which is left from now. false: it cannot.
func (t *kernelTimer) set(at, left time.Duration) bool {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(left, 1)))} // 0 would stop it
	if unix.TimerfdSettime(t.fd, 0, &spec, nil) != nil {
		return false
	}
	t.at = at
	return true
}

// fired notes that the timer was reported.
func (t *kernelTimer) fired() { t.at = 0 }

func (t *kernelTimer) close() { unix.Close(t.fd) }
