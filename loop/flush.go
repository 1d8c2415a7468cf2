package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

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
	own.sealed, cork.sealed = cork.sealed, segment{}
	cork.reset()
	c.out = own
}

// gatherLocked sends what is queued, head and body from where they are. done
// says that nothing is left to queue: all was sent, or the connection broke;
// otherwise sent counts the bytes of head and body that went.
func (c *Conn) gatherLocked(head, body []byte) (sent int, done bool) {
	if c.asked == writeFailed { // by a flush of what was queued before
		return 0, true
	}
	if c.tls != nil {
		c.writeSealedLocked(head, body)
		return 0, true
	}
	var queued []byte
	if c.out != nil {
		queued = c.out.segs[0].b
	}
	var err error
	if len(queued)+len(body) == 0 {
		sent, err = send(int(c.fd), head[:min(len(head), maxSend)])
	} else {
		sent, err = send3(int(c.fd), queued, head, body)
	}
	c.loop.sentElsewhere.Add(uint64(max(sent, 0)))
	switch {
	case err == unix.EAGAIN:
		return 0, false
	case err != nil:
		c.failLocked(errnoOf(err))
		return 0, true
	case sent < len(queued):
		c.out.consume(sent)
		return 0, false
	}
	if c.out != nil {
		c.releaseLocked()
	}
	sent -= len(queued)
	return sent, sent == len(head)+len(body)
}

// flushLocked sends what is queued until the socket takes no more; false if the
// connection broke. For the loop; other goroutines may flush the cork, which has
// scratch of its own.
func (c *Conn) flushLocked() (ok bool) {
	if c.phase == opening {
		return true
	}
	if c.tls != nil {
		return c.flushSealedLocked()
	}
	o, g := c.out, c.loop.gather
	if o == c.loop.cork && len(o.segs) == 1 && o.size <= maxSend { // what most events end with
		switch n, err := send(int(c.fd), o.segs[0].b); {
		case err != nil: // the general case finds out what it means
		case n == o.size:
			c.out = nil
			o.reset()
			return true
		default:
			o.consume(n)
			o.sent += n
		}
	}
	if o.gather != nil {
		g = o.gather
	}
	for {
		sent, err := o.send(int(c.fd), g)
		if err != nil {
			if err == unix.EAGAIN {
				c.blockedLocked()
				return true
			}
			c.failLocked(errnoOf(err))
			return false
		}
		if sent == o.size {
			c.releaseLocked()
			c.updateInterestLocked()
			return true
		}
		o.consume(sent)
		o.sent += sent
	}
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
	return unix.EIO
}
