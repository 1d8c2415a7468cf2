package loop

import "time"

// interest is what a descriptor waits for, and what it turned out to be ready
// for.
type interest uint8

const (
	readable interest = 1 << iota
	writable
	// hangup comes with readable when the peer is gone or the socket failed:
	// epoll reports it even to those who asked for nothing.
	hangup
)

// poller is the seam between a loop and the operating system: one file per
// backend. add, mod, del and wake may be called by any goroutine; wakeSelf, run
// and close belong to the loop.
type poller interface {
	add(fd int, want interest) error
	// mod changes what an added descriptor waits for; had is what it waited
	// for until now. Nothing at all is a legal interest; a descriptor that was
	// deleted while it had none is added again.
	mod(fd int, had, want interest) error
	del(fd int, had interest) error

	// wake makes run call turn soon, from any goroutine. After close it does
	// nothing: the number of what it would write to may be another's.
	wake()
	// wakeSelf is wake for the loop itself, inside ready or turn. The turn it
	// asks for comes after the descriptors were looked at.
	wakeSelf()

	// run reports ready descriptors to h until h.turn says stop.
	run(h pollHandler) error
	close() error
}

// pollHandler is the loop as its poller sees it.
type pollHandler interface {
	// tick reads the clock, where a batch of events begins: the time since the group
	// started.
	tick() time.Duration
	// ready says that fd is ready for ev.
	ready(fd int, ev interest)
	// turn ends an iteration. It returns how long after the last tick the poller may
	// wait at most (negative: until something happens) and whether to stop.
	turn() (wait time.Duration, stop bool)
}
