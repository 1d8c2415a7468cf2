//go:build portable || !(linux || darwin || freebsd)

package loop

import (
	"sync"
	"time"
)

// edgeTriggered: what is still ready after its event is reported again.
const edgeTriggered = false

// netpollBuilt reports whether BackendNetpoll is there.
const netpollBuilt = false

// newPoller returns the one backend there is here.
func newPoller(Backend) (poller, error) {
	return &portablePoller{bell: make(chan struct{}, 1)}, nil
}

// portablePoller waits for goroutines that read, write, accept and connect to
// report that the descriptors of this package, which are none of the system, are
// ready.
type portablePoller struct {
	bell chan struct{} // holds one: turn before waiting

	// Owned by the loop.
	self     bool // turn again before waiting
	batch    []entry
	reported int   // of batch, those that were reported
	last     entry // of them the last, which may be ready still
	timer    *time.Timer

	// Guarded by mu.
	mu    sync.Mutex
	ready []entry // each once
}

func (p *portablePoller) add(fd int, want interest) error {
	e := fds.get(fd)
	if e == nil {
		return errBadDescriptor
	}
	n := e.base()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.poller, n.want = p, want
	e.startLocked()
	reportLocked(e)
	return nil
}

func (p *portablePoller) mod(fd int, _, want interest) error { return p.add(fd, want) }

func (p *portablePoller) del(fd int, _ interest) error {
	if e := fds.get(fd); e != nil {
		n := e.base()
		n.mu.Lock()
		n.poller = nil
		n.mu.Unlock()
	}
	return nil
}

func (p *portablePoller) wake() {
	select {
	case p.bell <- struct{}{}:
	default: // it rings already
	}
}

func (p *portablePoller) wakeSelf() { p.self = true }

// push adds e to those that are ready.
func (p *portablePoller) push(e entry) {
	p.mu.Lock()
	p.ready = append(p.ready, e)
	p.mu.Unlock()
	p.wake()
}

// take returns those that are ready, in a slice that the next but one take reuses.
func (p *portablePoller) take() []entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.ready
	clear(p.batch)
	p.ready = p.batch[:0]
	return batch
}

func (p *portablePoller) run(h pollHandler) error {
	h.tick()
	for {
		p.report(h) // at first those that a callback left which did not return
		p.self = false
		wait, stop := h.turn()
		if stop {
			return nil
		}
		p.wait(wait)
		h.tick()
		p.batch, p.reported = p.take(), 0
	}
}

func (p *portablePoller) report(h pollHandler) {
	for {
		if p.last != nil {
			p.last.base().again(p.last)
			p.last = nil
		}
		if p.reported == len(p.batch) {
			return
		}
		e := p.batch[p.reported]
		p.reported++
		if fd, ev := e.base().takeEvent(p, e); ev != 0 {
			p.last = e
			h.ready(fd, ev)
		}
	}
}

// wait waits until the bell rings or the time is over.
func (p *portablePoller) wait(wait time.Duration) {
	var over <-chan time.Time
	switch {
	case p.self:
		wait = 0
	case wait > 0 && p.timer == nil:
		p.timer = time.NewTimer(wait)
		over = p.timer.C
	case wait > 0:
		p.timer.Reset(wait)
		over = p.timer.C
	}
	if wait == 0 {
		select {
		case <-p.bell:
		default:
		}
		return
	}
	select {
	case <-p.bell:
	case <-over:
	}
}

func (p *portablePoller) close() error {
	if p.timer != nil {
		p.timer.Stop()
	}
	return nil
}
