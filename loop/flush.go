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
		c.out.progress = c.loop.group.now()
		c.updateInterestLocked()
	}
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
		own.size += len(s.b)
		own.segs = append(own.segs, s)
		cork.segs[i] = segment{}
	}
	cork.reset()
	c.out = own
}

// gatherLocked sends what is queued, head and body from where they are. done
// says that nothing is left to queue: all was sent, or the connection broke;
// otherwise sent counts the bytes of head and body that went.
func (c *Conn) gatherLocked(head, body []byte) (sent int, done bool) {
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
	c.dropLocked()
	sent -= len(queued)
	return sent, sent == len(head)+len(body)
}

// flushLocked sends what is queued until the socket takes no more. For the
// loop; other goroutines may flush the cork, which has scratch of its own.
func (c *Conn) flushLocked() {
	if c.flags&connecting != 0 {
		return
	}
	o, g := c.out, c.loop.gather
	if o == c.loop.cork && len(o.segs) == 1 && o.size <= maxSend { // what most events end with
		if n, err := send(int(c.fd), o.segs[0].b); err == nil && n == o.size {
			c.out = nil
			o.reset()
			return
		} else if err == nil {
			o.consume(n)
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
				return
			}
			c.failLocked(errnoOf(err))
			return
		}
		if sent == o.size {
			c.releaseLocked()
			c.updateInterestLocked()
			return
		}
		o.consume(sent)
		o.progress = c.loop.group.now()
	}
}

// releaseLocked gives the outbox of c back, whatever is in it.
func (c *Conn) releaseLocked() {
	o := c.out
	c.out = nil
	o.reset()
	if o != c.loop.cork {
		outboxes.Put(o)
	}
}

// dropLocked forgets what is queued.
func (c *Conn) dropLocked() {
	if c.out != nil {
		c.releaseLocked()
	}
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return unix.EIO
}
