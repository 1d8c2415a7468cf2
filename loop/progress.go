package loop

import "time"

// MinProgress is how many bytes a peer has to take between two looks of Stalled:
// one that reads a byte now and then makes no progress.
const MinProgress = 1 << 10

// Stalled returns for how long the peer has taken less than 1 KiB of what was
// written to it; 0 if nothing is queued. It counts from the first call, and
// compares each call with those before: ask again and again. Where the kernel
// tells, it goes by what the peer acknowledged: a large send buffer hides for
// long that a slow link gets on. Any goroutine.
func (c *Conn) Stalled() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.StalledLocked()
}

// Acknowledged returns how many bytes the peer's kernel has acknowledged so far; 0
// where the system does not tell: with sockets other than TCP, and on other systems
// than Linux. Any goroutine.
func (c *Conn) Acknowledged() int { return c.ask(acknowledged) }

// Unacknowledged returns how many bytes the kernel holds that the peer's has not
// acknowledged; 0 where the system does not tell. Any goroutine.
func (c *Conn) Unacknowledged() int { return c.ask(unacknowledged) }

// ask asks the kernel about the socket of c.
func (c *Conn) ask(what func(fd int) int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0
	}
	return what(int(c.fd))
}

// StalledLocked is Stalled for a caller that holds Lock.
func (c *Conn) StalledLocked() time.Duration {
	o := c.out
	if o == nil || c.want&writable == 0 || c.phase == opening {
		return 0
	}
	now := c.loop.group.now()
	taken := o.sent - unacknowledged(int(c.fd))
	switch {
	case !o.looked:
		o.taken, o.progress, o.looked = taken, now, true
	case taken-o.taken >= MinProgress:
		o.taken, o.progress = taken, now
	}
	return now - o.progress
}
