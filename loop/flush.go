package loop

import "syscall"

// Whatever is written is queued, or given to the socket at once behind what is
// queued: by flushLocked. The two shortest ways, sendCorkLocked and
// DeliverSharedLocked, leave whatever is not usual to it. It is called
//
//	uncork              when an event ends, for what it queued
//	FlushLocked         when an iteration ends, for what was published
//	writeReady          when the socket takes more
//	WriteLocked         outside any event, with nothing queued, or inside one, with
//	WriteSharedLocked   more than is worth a copy
//	admitLocked         before a write is refused because of what is corked
//	startTLS, Detach    for what has to leave before the connection changes
//	closeNotifyLocked      for close_notify
//	writeInHandshake    for what crypto/tls has to say in a handshake

// blockedLocked waits for the socket to take more of what is queued.
func (c *Conn) blockedLocked() {
	if c.out == c.loop.cork {
		c.keepLocked()
	}
	if c.want&writable == 0 {
		c.updateInterestLocked()
	}
	c.tallyLocked()
}

// keepLocked moves what is left in the loop's cork to an outbox of c's own.
func (c *Conn) keepLocked() {
	cork, own := c.out, outboxes.Get().(*outbox)
	for i := cork.first; i < len(cork.segs); i++ {
		s := cork.segs[i]
		if i == 0 && len(cork.cork) > 0 {
			own.append(s.b)
			continue
		}
		own.move(s)
		cork.segs[i] = segment{}
	}
	own.mark = cork.mark
	own.size += len(cork.sealed.b)
	own.borrowed = cork.borrowed
	own.sealed, cork.sealed = cork.sealed, segment{}
	cork.reset()
	c.out = own
}

// flushLocked gives the socket what is queued and then head and body, until it
// takes no more. It returns how many bytes of head and body are done with; the
// caller queues the rest, and calls blockedLocked. They are borrowed.
func (c *Conn) flushLocked(head, body []byte) (sent int) {
	if c.phase == opening {
		return 0
	}
	if c.tls != nil {
		return c.flushSealedLocked(head, body)
	}
	total := len(head) + len(body)
	for {
		n, err := c.sendLocked(head, body)
		if err != nil && err != syscall.EAGAIN {
			c.failLocked(errnoOf(err))
			return total
		}
		sent = c.sentLocked(n)
		switch {
		case c.out == nil && sent == total:
			c.updateInterestLocked()
			return total
		case err != nil || total > 0: // it took no more, or enough for one call: the rest is queued
			if c.out != nil {
				c.blockedLocked()
			}
			return sent
		}
	}
}

// sendCorkLocked sends what an event queued in one system call, as most events end,
// and reports whether that was all. Loop only.
func (c *Conn) sendCorkLocked() bool {
	o := c.out
	if o != c.loop.cork || len(o.segs) != 1 || o.size > maxSend || c.tls != nil || c.phase == opening {
		return false
	}
	n, _ := send(int(c.fd), o.segs[0].b) // flushLocked will see an error again
	if n == o.size {
		c.loop.counters.BytesOut += uint64(n)
		c.out = nil
		o.reset()
		return true
	}
	if n > 0 {
		c.sentLocked(n)
	}
	return false
}

// sendLocked makes one system call of the oldest bytes: of the queue, then of head
// and body. It returns how many went.
func (c *Conn) sendLocked(head, body []byte) (n int, err error) {
	switch o := c.out; {
	case o != nil && len(o.segs)-o.first > 1:
		n, err = o.send(int(c.fd), c.gatherOf(o))
	case o != nil && len(head)+len(body) > 0:
		n, err = send3(int(c.fd), o.segs[o.first].b, head, body)
	case o != nil:
		b := o.segs[o.first].b
		n, err = send(int(c.fd), b[:min(len(b), maxSend)])
	case len(head) > 0 && len(body) > 0:
		n, err = send3(int(c.fd), nil, head, body)
	case len(head) > 0:
		n, err = send(int(c.fd), head[:min(len(head), maxSend)])
	default:
		n, err = send(int(c.fd), body[:min(len(body), maxSend)])
	}
	return max(n, 0), err
}

// gatherOf returns the scratch for a flush of o: other goroutines than the loop may
// flush the cork, which has its own.
func (c *Conn) gatherOf(o *outbox) *gather {
	if o.gather != nil {
		return o.gather
	}
	return c.loop.gather
}

// sentLocked takes n bytes that were sent from the queue, and returns how many of
// them were behind it.
func (c *Conn) sentLocked(n int) (behind int) {
	if n == 0 {
		return 0
	}
	c.loop.bytesOut.Add(uint64(n))
	o := c.out
	switch {
	case o == nil:
		return n
	case n < o.size:
		o.consume(n)
		o.sent += n
		return 0
	}
	n -= o.size
	c.releaseLocked()
	return n
}

// behind returns what follows the first n bytes of head and body.
func behind(head, body []byte, n int) (h, b []byte) {
	if n < len(head) {
		return head[n:], body
	}
	return nil, body[n-len(head):]
}

// releaseLocked gives the outbox of c back, whatever is in it.
func (c *Conn) releaseLocked() {
	o := c.out
	c.out = nil
	c.loop.carry(o.tallied, load{})
	o.reset()
	if o != c.loop.cork {
		outboxes.Put(o)
	}
}

// loseLocked gives up what is queued, and notes that something was.
func (c *Conn) loseLocked() {
	if c.out == nil {
		return
	}
	if c.out.size > 0 {
		c.flags |= lost
	}
	c.releaseLocked()
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return syscall.EIO
}
