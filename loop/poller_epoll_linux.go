//go:build !portable

package loop

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollPoller is a bare level-triggered epoll instance. While there is work for more
// than one connection, it polls without blocking first, by a raw system call of which
// the Go scheduler never hears. With less work, that poll would find nothing most
// times.
type epollPoller struct {
	// Immutable.
	fd     int
	wakeFD int

	// Of the loop and those that wake it. Each side writes its own and then
	// reads the other's, so that one of them sees the other.
	woken  atomic.Bool // a turn is asked for
	asleep atomic.Bool // the loop waits, or is about to

	// Owned by the loop.
	timer    kernelTimer
	now      time.Duration // of the batch that was reported last
	self     bool          // turn again before waiting
	events   [256]unix.EpollEvent
	ready    int // of events, those of this batch
	reported int // of them, those that were reported

	// Guarded by mu.
	mu     sync.Mutex
	closed bool
}

func newEpollPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	timer, err := newKernelTimer()
	if err != nil {
		unix.Close(fd)
		unix.Close(wakeFD)
		return nil, err
	}
	p := &epollPoller{fd: fd, wakeFD: wakeFD, timer: timer}
	if err := errors.Join(p.add(wakeFD, readable), timer.register(fd)); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func epollEvents(want interest) (ev uint32) {
	if want&readable != 0 {
		ev |= unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP
	}
	if want&writable != 0 {
		ev |= unix.EPOLLOUT
	}
	return ev
}

func (p *epollPoller) ctl(op, fd int, want interest) error {
	ev := unix.EpollEvent{Events: epollEvents(want), Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

func (p *epollPoller) add(fd int, want interest) error { return p.ctl(unix.EPOLL_CTL_ADD, fd, want) }

func (p *epollPoller) mod(fd int, had, want interest) error {
	err := p.ctl(unix.EPOLL_CTL_MOD, fd, want)
	if had == 0 && errors.Is(err, unix.ENOENT) {
		return p.add(fd, want)
	}
	return err
}

func (p *epollPoller) del(fd int, _ interest) error { return p.ctl(unix.EPOLL_CTL_DEL, fd, 0) }

func (p *epollPoller) wake() {
	p.woken.Store(true)
	if !p.asleep.Load() { // it turns before it waits
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	one := [8]byte{1}                   // any non-zero count wakes, whatever the byte order
	_, _ = unix.Write(p.wakeFD, one[:]) // fails if the counter is full: it is awake
}

func (p *epollPoller) wakeSelf() { p.self = true }

func (p *epollPoller) run(h pollHandler) error {
	p.now = h.tick()
	for {
		for p.reported < p.ready { // at first those that a callback left which did not return
			p.reported++
			p.report(h, &p.events[p.reported-1])
		}
		p.self = false      // the turn that follows is what it asked for
		if p.woken.Load() { // a load is cheaper than a store
			p.woken.Store(false)
		}
		wait, stop := h.turn()
		if stop {
			return nil
		}
		n, err := p.wait(h, wait)
		p.now = h.tick()
		if err != nil {
			return err
		}
		p.ready, p.reported = n, 0
	}
}

func (p *epollPoller) wait(h pollHandler, wait time.Duration) (int, error) {
	if p.ready > 1 || p.self { // there was more than one: it is busy
		n, err := p.poll()
		if n > 0 || p.self || err != nil {
			return n, err
		}
	}
	msec := p.timeout(h, wait)
	p.asleep.Store(true)
	if p.woken.Load() {
		p.asleep.Store(false)
		return p.poll() // mail that brings mail must not keep the descriptors waiting
	}
	n, err := p.block(msec)
	p.asleep.Store(false)
	return n, err
}

// timeout is that of a wait, in milliseconds: -1 where the timer ends it.
func (p *epollPoller) timeout(h pollHandler, wait time.Duration) int {
	at := p.now + wait
	if wait < 0 || p.timer.ends(at) || wait >= longSleep && p.timer.set(at, at-h.tick()) {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// block waits for events, as long as the timeout says.
func (p *epollPoller) block(msec int) (int, error) {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(msec), 0, 0)
	return batch(n, errno)
}

// poll asks for events without waiting and without telling the scheduler.
func (p *epollPoller) poll() (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	return batch(n, errno)
}

// batch is what epoll_pwait returned: how many events.
func batch(n uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("epoll_pwait", errno)
}

func (p *epollPoller) report(h pollHandler, e *unix.EpollEvent) {
	switch int(e.Fd) {
	case p.wakeFD:
		p.drainWake()
		return
	case p.timer.fd:
		p.timer.fired()
		return
	}
	var ev interest
	if e.Events&(unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLRDHUP) != 0 {
		ev |= readable
	}
	if e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		ev |= readable | hangup
	}
	if e.Events&unix.EPOLLOUT != 0 {
		ev |= writable
	}
	h.ready(int(e.Fd), ev)
}

// drainWake empties the eventfd; the turn that ends this batch answers it.
func (p *epollPoller) drainWake() {
	var buf [8]byte
	_, _ = unix.Read(p.wakeFD, buf[:]) // non-blocking: empty is as good as read
}

func (p *epollPoller) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	unix.Close(p.wakeFD)
	p.timer.close()
	return os.NewSyscallError("close", unix.Close(p.fd))
}
