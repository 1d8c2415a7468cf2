//go:build portable || !(linux || darwin || freebsd)

package loop

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// maxBacklog is how many connections a listener takes in ahead of its loop.
const maxBacklog = 16

// listening is a net.Listener whose connections a goroutine accepts, as long as its
// loop takes them.
type listening struct {
	node
	nl net.Listener // immutable

	// Guarded by mu.
	taken     sync.Cond // from the backlog, or an error, or it is closed
	backlog   []net.Conn
	err       error // of Accept, until the loop has it
	accepting bool
}

func newListening(nl net.Listener) *listening {
	l := &listening{nl: nl}
	l.taken.L = &l.mu
	return l
}

// readyLocked implements entry.
func (l *listening) readyLocked() interest {
	if len(l.backlog) > 0 || l.err != nil {
		return readable
	}
	return 0
}

// startLocked implements entry.
func (l *listening) startLocked() {
	if !l.accepting {
		l.accepting = true
		go l.accept()
	}
}

func (l *listening) accept() {
	for {
		nc, err := l.nl.Accept()
		l.mu.Lock()
		switch {
		case l.closed && nc != nil:
			_ = nc.Close()
		case err != nil:
			l.err = errnoIn(err)
		default:
			l.backlog = append(l.backlog, nc)
		}
		reportLocked(l)
		for (len(l.backlog) >= maxBacklog || l.err != nil) && !l.closed {
			l.taken.Wait()
		}
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
	}
}

// take returns a connection that waits.
func (l *listening) take() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken.Signal()
	if len(l.backlog) > 0 {
		nc := l.backlog[0]
		l.backlog = append(l.backlog[:0], l.backlog[1:]...)
		return nc, nil
	}
	if err := l.err; err != nil {
		l.err = nil
		return nil, err
	}
	return nil, syscall.EAGAIN
}

// close implements entry.
func (l *listening) close() {
	l.mu.Lock()
	l.closed, l.poller = true, nil
	backlog := l.backlog
	l.backlog = nil
	l.taken.Signal()
	l.mu.Unlock()
	_ = l.nl.Close()
	for _, nc := range backlog {
		_ = nc.Close()
	}
}

// acceptOne takes one connection from the listening descriptor fd.
func acceptOne(fd int) (int, error) {
	l, _ := fds.get(fd).(*listening)
	if l == nil {
		return -1, errBadDescriptor
	}
	nc, err := l.take()
	if err != nil {
		return -1, err
	}
	return fds.add(newSocketOf(nc)), nil
}

// open opens one listening socket, whose connections all loops get.
func (ln *Listener) open(addr string, cfg ListenConfig) error {
	lc := net.ListenConfig{KeepAlive: -1}
	nl, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	ln.addr = nl.Addr()
	fd := fds.add(newListening(nl))
	ln.acceptors = []*acceptor{{loop: ln.group.pick(), fd: fd, cfg: cfg, spread: true}}
	return nil
}

// inheritNoDelay: package net sets TCP_NODELAY itself.
func inheritNoDelay(int) {}

// There is no reserve: package net does not say which descriptor it would take.
func openReserve() int { return noFD }
func closeReserve(int) {}
