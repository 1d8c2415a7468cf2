package loop

import "errors"

// bind ties c to its loop before that has seen it: from now on c may be written
// to and closed, which waits until c is open. policy replaces what SetPolicy set; nil does
// not.
func (c *Conn) bind(l *Loop, h Handler, policy *WritePolicy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loop, c.handler = l, h
	switch {
	case policy != nil:
		c.policy.Store(policy)
	case c.policy.Load() == nil:
		c.policy.Store(&noBounds)
	}
	c.fd, c.want = -1, writable
}

var noBounds WritePolicy

// unbind undoes bind when the loop will never see c.
func (c *Conn) unbind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advanceLocked(ended)
}

// advanceLocked moves c on to a later phase. Loop only, but for a connection that
// the loop will never see.
func (c *Conn) advanceLocked(to phase) {
	if to <= c.phase {
		return
	}
	c.phase = to
	switch to {
	case finSent: // reads until the peer's end, whoever paused it
		c.flags &^= readPaused | eof
		c.updateInterestLocked()
	case ended:
		c.loseLocked()
		if c.tls != nil {
			c.tls.endLocked()
		}
	}
}

// open gives c, which is bound, its descriptor, which c owns from now on: one
// that stands if to is open, one that connects if it is opening. If that fails,
// OnClose says so. Loop only.
func (c *Conn) open(fd int, to phase, f flags) {
	c.mu.Lock()
	c.advanceLocked(to)
	c.flags |= f
	c.fd, c.want = int32(fd), c.wantLocked()
	err := c.loop.poller.add(fd, c.want)
	switch {
	case err != nil:
		c.fd = -1
	case c.asked != stayOpen:
		c.scheduleLocked()
	}
	c.mu.Unlock()
	if err != nil {
		closeFD(fd) // never used
		c.stillborn(err)
		return
	}
	c.loop.enlist(fd, c)
	if to == open {
		c.opened()
	}
}

// stillborn ends a connection that never had a descriptor. Loop only.
func (c *Conn) stillborn(err error) {
	c.mu.Lock()
	c.fd = -1
	c.advanceLocked(ended)
	c.mu.Unlock()
	c.over(err)
}

// over is the last event, outside any other. Loop only.
func (c *Conn) over(err error) {
	c.loop.call.conn = c
	c.handler.OnClose(err)
	c.loop.call.conn = nil
}

// opened is the first event. What was asked for before it follows.
func (c *Conn) opened() {
	c.enter()
	c.handler.OnOpen()
	c.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flags&notified != 0 {
		c.scheduleLocked()
	}
}

// errLocal stands for "this side closed", which OnClose reports as nil.
var errLocal = errors.New("closed by this side")

// end ends c: nothing is read or sent any more. The descriptor stays open,
// and its number taken, until closeDescriptor. Loop only.
func (c *Conn) end(err error) {
	if c.phase == ended {
		return
	}
	if err == errLocal {
		err = nil
	}
	c.mu.Lock()
	c.advanceLocked(ended)
	c.mu.Unlock()
	c.loop.wheel.disarm(c)
	c.loop.ended = append(c.loop.ended, endedConn{c: c, err: err})
	c.loop.poller.wakeSelf()
}

// depart takes c out of its loop, after the events of the iteration in which it
// ended. The descriptor stays for OnClose, which may ask for addresses.
func (c *Conn) depart() {
	c.mu.Lock()
	fd, want, f := int(c.fd), c.want, c.flags
	c.mu.Unlock()
	c.loop.delist(fd)
	if f&adopted != 0 {
		_ = c.loop.poller.del(fd, want) // close does it, but for duplicates
	}
}

// closeDescriptor closes the descriptor, whose number no one can use afterwards.
func (c *Conn) closeDescriptor() {
	c.mu.Lock()
	fd := int(c.fd)
	c.fd = -1
	c.mu.Unlock()
	closeFD(fd)
}
