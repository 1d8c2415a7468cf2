package loop

import "syscall"

// Write sends head and then body, which together are one write: in order, all
// or nothing. It copies what the socket does not take at once, so both are
// free when it returns. Any goroutine; it never blocks and never calls back.
//
// The error is nil if the bytes are sent or queued, ErrBackpressure if the
// policy refuses them, or ErrClosed.
func (c *Conn) Write(head, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WriteLocked(head, body, false)
}

// WriteLocked is Write for a caller that holds Lock. An urgent write is not
// refused by the policy.
func (c *Conn) WriteLocked(head, body []byte, urgent bool) error {
	n := len(head) + len(body)
	if err := c.admitLocked(n, urgent); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	if c.joinsLocked(n) {
		c.enqueueLocked(head, body)
		c.tallyLocked()
		return nil
	}
	if sent := c.flushLocked(head, body); sent < n {
		head, body = behind(head, body, sent)
		c.enqueueLocked(head, body)
		c.blockedLocked()
	}
	return nil
}

// CorkLocked queues n bytes, which the caller writes to the slice that it returns,
// and counts them as a message (see Loop.CountOut): inside an event, with room for
// them in what the event sends at its end. Otherwise it does nothing and returns
// nil: WriteLocked takes every case. For a caller that holds Lock.
func (c *Conn) CorkLocked(n int) []byte {
	o := c.loop.cork
	if c.flags&corked == 0 || c.want&writable != 0 || c.out != o && c.out != nil || !c.listens() {
		return nil
	}
	size := o.size + n
	if p := c.policy.Load(); p.Limit > 0 && size > p.Limit || p.High > 0 && size > p.High || n >= gatherMin {
		return nil
	}
	b := o.extendCork(n)
	if b != nil {
		c.out = o
		o.messages++
	}
	return b
}

// WriteShared is Write for bytes that many connections send: what the socket
// does not take at once is queued by reference.
func (c *Conn) WriteShared(s *Shared) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WriteSharedLocked(s, false)
}

// WriteSharedLocked is WriteShared for a caller that holds Lock. An urgent write
// is not refused by the policy.
func (c *Conn) WriteSharedLocked(s *Shared, urgent bool) error {
	if err := c.admitLocked(len(s.b), urgent); err != nil {
		return err
	}
	if len(s.b) == 0 {
		return nil
	}
	if c.joinsLocked(len(s.b)) {
		c.refer(s, 0)
		c.tallyLocked()
		return nil
	}
	if sent := c.flushLocked(nil, s.b); sent < len(s.b) {
		c.refer(s, sent)
		c.blockedLocked()
	}
	return nil
}

// DeliverSharedLocked is WriteSharedLocked, urgent, for the loop outside of any event
// of c: the shortest way for what a publish gives to one connection after the other.
func (c *Conn) DeliverSharedLocked(s *Shared) error {
	if c.out != nil || c.want&writable != 0 || c.tls != nil || c.phase != open || c.asked != stayOpen || len(s.b) == 0 || len(s.b) > maxSend {
		return c.WriteSharedLocked(s, true)
	}
	n, err := send(int(c.fd), s.b)
	switch {
	case n == len(s.b):
		c.loop.counters.BytesOut += uint64(n)
	case err != nil && err != syscall.EAGAIN:
		c.failLocked(errnoOf(err))
	default:
		n = max(n, 0)
		c.loop.counters.BytesOut += uint64(n)
		c.refer(s, n)
		c.blockedLocked()
	}
	return nil
}

// QueueSharedLocked queues all of list by reference without asking the socket,
// whatever the policy says; FlushLocked follows in the same iteration. For the
// loop, holding Lock, outside any event of the connection.
func (c *Conn) QueueSharedLocked(list []*Shared) error {
	if err := c.admitLocked(0, true); err != nil {
		return err
	}
	o := c.queueLocked()
	if c.want&writable == 0 {
		o.progress = c.loop.now
	}
	for _, s := range list {
		o.appendRef(s, 0)
	}
	c.markLocked()
	return nil
}

// FlushLocked sends what QueueSharedLocked queued, in as few system calls as
// will do. For the loop, holding Lock.
func (c *Conn) FlushLocked() {
	if c.out != nil && c.want&writable == 0 {
		c.flushLocked(nil, nil)
	}
	if c.flags&(emptyArmed|lowArmed|drainArmed) != 0 && c.out == nil {
		c.scheduleLocked() // no event is under way to act on it
	}
}

// Lock takes the mutex of the connection, which guards its write side. A
// handler may guard what belongs to its own write side with it. It must not be
// held for long, nor while any method is called whose name does not end in
// Locked.
func (c *Conn) Lock() { c.mu.Lock() }

// Unlock gives the mutex back.
func (c *Conn) Unlock() { c.mu.Unlock() }

// BlockedLocked reports whether the socket takes no more for now, so that writes
// are queued. For a caller that holds Lock.
func (c *Conn) BlockedLocked() bool { return c.want&writable != 0 }

// SetPolicy replaces the write policy of c. It counts from the next write on: what is
// queued stays queued. Any goroutine.
func (c *Conn) SetPolicy(p *WritePolicy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policy.Store(p)
}

// Policy returns the write policy of c; nil if c was not opened and has none. Any goroutine.
func (c *Conn) Policy() *WritePolicy { return c.policy.Load() }

// NotifyLowLocked makes OnNotify come when the queue is at the policy's Low or
// below, which may be now. For a caller that holds Lock.
func (c *Conn) NotifyLowLocked() {
	c.flags |= lowArmed
	if c.QueuedLocked() <= c.policy.Load().Low {
		c.scheduleLocked()
	}
}

// NotifyEmptyLocked makes OnNotify come when nothing is queued any more, which
// may be now. For a caller that holds Lock.
func (c *Conn) NotifyEmptyLocked() {
	c.flags |= emptyArmed
	if c.out == nil {
		c.scheduleLocked()
	}
}

// Queued returns the number of bytes written and not yet given to the kernel.
// Any goroutine.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.QueuedLocked()
}

// QueuedLocked is Queued for a caller that holds Lock.
func (c *Conn) QueuedLocked() int {
	if c.out == nil {
		return 0
	}
	return c.out.size
}

// admitLocked decides whether n more bytes may be written.
func (c *Conn) admitLocked(n int, urgent bool) error {
	if !c.listens() {
		return ErrClosed
	}
	if urgent {
		return nil
	}
	if c.want&writable != 0 && c.loop.Over() { // writers may be many, and faster than the loop
		c.armDrainLocked(c.QueuedLocked() - 1)
		return ErrBackpressure
	}
	limit := c.policy.Load().Limit
	if limit <= 0 || c.QueuedLocked()+n <= limit {
		return nil
	}
	if c.want&writable == 0 && c.out == c.loop.cork {
		c.flushLocked(nil, nil) // no backlog yet: the socket was not asked
		if c.asked == writeFailed {
			return ErrClosed
		}
	}
	if c.out != nil && c.out.size+n > limit {
		c.armDrainLocked(limit - n)
		return ErrBackpressure
	}
	return nil
}

// joinsLocked reports whether n more bytes join the queue. Otherwise the socket
// may take them: nothing waits for it to become writable, and either no event
// is under way, or they are too many to be worth a copy and what is queued
// before them can go along.
func (c *Conn) joinsLocked(n int) bool {
	switch {
	case c.want&writable != 0: // connecting, or blocked
		return true
	case c.flags&corked == 0:
		return c.out != nil // FlushLocked is to come
	case c.out == nil:
		return n < gatherMin
	case c.out != c.loop.cork:
		return true
	case n < gatherMin && c.out.size+n <= corkSize:
		return true
	case len(c.out.segs) == 1:
		return false
	}
	c.flushLocked(nil, nil) // or one event could queue without bound
	return c.want&writable != 0 || n < gatherMin
}

// queueLocked returns the outbox of c to append to: the loop's cork for the
// connection whose event is under way, unless its bytes have to stay.
func (c *Conn) queueLocked() *outbox {
	if c.out == nil {
		if c.flags&corked != 0 && c.want&writable == 0 {
			c.out = c.loop.cork
		} else {
			c.out = outboxes.Get().(*outbox)
		}
	}
	return c.out
}

// enqueueLocked copies head and body to the end of the queue.
func (c *Conn) enqueueLocked(head, body []byte) {
	if o := c.queueLocked(); o == c.loop.cork {
		o.appendCorked(head)
		o.appendCorked(body)
	} else {
		o.append(head)
		o.append(body)
	}
	c.markLocked()
}

// refer adds s from the byte at on to the end of the queue.
func (c *Conn) refer(s *Shared, at int) {
	c.queueLocked().appendRef(s, at)
	c.markLocked()
}

// markLocked follows an append.
func (c *Conn) markLocked() {
	if high := c.policy.Load().High; high > 0 && c.out.size > high {
		c.armDrainLocked(c.out.size - 1)
	}
}

// armDrainLocked makes OnDrain come when the queue falls to the policy's Low, and
// to room if that is less: to no mark that it is at already, or OnDrain and the
// write that it tries again would follow each other while the peer takes nothing.
// Of several marks the highest counts.
func (c *Conn) armDrainLocked(room int) {
	mark := max(0, min(c.policy.Load().Low, room))
	switch {
	case c.out == nil: // connecting: due when that is over
	case c.flags&drainArmed == 0:
		c.out.mark = mark
	default:
		c.out.mark = max(c.out.mark, mark)
	}
	c.flags |= drainArmed
}

// drainedLocked reports whether the queue fell to the mark of armDrainLocked.
func (c *Conn) drainedLocked() bool { return c.out == nil || c.out.size <= c.out.mark }
