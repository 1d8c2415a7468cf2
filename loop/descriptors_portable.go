//go:build portable || !(linux || darwin || freebsd)

package loop

import (
	"sync"
	"syscall"
)

// fds are the descriptors of this process: numbers that a Conn has instead of those of
// the system. A number is free again when its entry is closed.
var fds table

type table struct {
	mu      sync.RWMutex
	entries []entry // by number
	free    []int
}

const errBadDescriptor = syscall.EBADF

// entry is a socket or a listening one.
type entry interface {
	base() *node
	// readyLocked is what the entry is ready for.
	readyLocked() interest
	// startLocked begins what its goroutines do, when it is added to a poller.
	startLocked()
	close()
}

// add gives e a number.
func (t *table) add(e entry) (fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		fd = t.free[n-1]
		t.free = t.free[:n-1]
		t.entries[fd] = e
	} else {
		fd = len(t.entries)
		t.entries = append(t.entries, e)
	}
	e.base().fd = fd
	return fd
}

// get returns the entry of fd; nil if there is none.
func (t *table) get(fd int) entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if fd < 0 || fd >= len(t.entries) {
		return nil
	}
	return t.entries[fd]
}

// socket returns the socket that fd is; nil if it is none.
func (t *table) socket(fd int) *socket {
	s, _ := t.get(fd).(*socket)
	return s
}

// remove frees fd and returns what it was; nil if it was nothing.
func (t *table) remove(fd int) entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || fd >= len(t.entries) || t.entries[fd] == nil {
		return nil
	}
	e := t.entries[fd]
	t.entries[fd] = nil
	t.free = append(t.free, fd)
	return e
}

// node is what sockets and listening ones have in common.
type node struct {
	fd int // immutable while it has a poller

	mu sync.Mutex
	// Guarded by mu.
	poller *portablePoller // nil: nobody waits for it
	want   interest
	queued bool // the poller has it among those that are ready
	closed bool
}

func (n *node) base() *node { return n }

// reportLocked tells the poller of e that it is ready, if it is for what is wanted. A
// hang-up is always wanted.
func reportLocked(e entry) {
	n := e.base()
	if n.poller == nil || n.queued || e.readyLocked()&(n.want|hangup) == 0 {
		return
	}
	n.queued = true
	n.poller.push(e)
}

// again reports e anew if it is ready still.
func (n *node) again(e entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reportLocked(e)
}

// takeEvent returns what e is ready for now, by the time that its event comes.
func (n *node) takeEvent(p *portablePoller, e entry) (fd int, ev interest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queued = false
	if n.poller != p {
		return noFD, 0
	}
	ev = e.readyLocked() & (n.want | hangup)
	if ev&hangup != 0 {
		ev |= readable
	}
	return n.fd, ev
}
