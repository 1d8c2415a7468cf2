package loop

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The events of a connection, as arguments for event.
func (c *Conn) timeout()  { c.handler.OnTimer() }
func (c *Conn) notified() { c.handler.OnNotify() }
func (c *Conn) ended()    { c.handler.OnEOF() }

// event runs one callback of c, corked.
func (c *Conn) event(fn func(*Conn)) {
	c.enter()
	fn(c)
	c.leave()
}

// do runs mail with a function in it.
func (c *Conn) do(fn func()) {
	if c.gone {
		return
	}
	c.enter()
	fn()
	c.leave()
}

// attend does what the flags ask for.
func (c *Conn) attend() {
	c.mu.Lock()
	c.flags &^= posted
	notify := c.flags&(notified|connecting) == notified
	if notify {
		c.flags &^= notified
	}
	c.mu.Unlock()
	switch {
	case c.gone:
	case notify:
		c.event((*Conn).notified)
	default:
		c.enter()
		c.leave()
	}
	if c.tls != nil && !c.gone {
		c.resumeSealed()
	}
}

// enter corks c and returns its flags of that moment.
func (c *Conn) enter() flags {
	c.mu.Lock()
	f := c.flags
	c.flags |= corked
	c.mu.Unlock()
	return f
}

// leave ends an event: what is queued goes out in one send, and what was asked
// for meanwhile is done.
func (c *Conn) leave() {
	if !c.uncork() {
		return
	}
	c.enter()
	c.handler.OnDrain()
	if c.uncork() {
		c.mu.Lock()
		c.flags |= drainArmed
		c.summonLocked()
		c.mu.Unlock()
	}
}

// uncork flushes and settles; drain says that OnDrain is due.
func (c *Conn) uncork() (drain bool) {
	c.mu.Lock()
	c.flags &^= corked
	if c.out != nil && c.want&writable == 0 {
		c.flushOnLoopLocked()
	}
	var over error
	if c.flags != 0 {
		drain, over = c.settleLocked()
	}
	c.mu.Unlock()
	if over != nil {
		c.doom(over)
	}
	return drain
}

// settleLocked acts on the flags when no event is under way. over is why the
// connection ends now, if it does.
func (c *Conn) settleLocked() (drain bool, over error) {
	switch {
	case c.flags&dead != 0 || c.fd < 0: // not opened yet: open sees to what was asked for
		return false, nil
	case c.flags&broken != 0:
		return false, os.NewSyscallError("send", syscall.Errno(c.errno))
	case c.flags&closeReset != 0:
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		return false, errLocal
	case c.flags&closeNow != 0:
		c.partLocked()
		return false, errLocal
	case c.flags&closeFlush != 0 && c.out == nil && c.farewellLocked():
		return false, errLocal
	case c.flags&closeLinger != 0 && c.out == nil && c.openingLocked():
		return false, errLocal
	case c.flags&(closeLinger|finSent) == closeLinger && c.out == nil && c.farewellLocked():
		if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
			return false, errLocal // the peer is gone: nobody reads last words
		}
		c.flags = (c.flags | finSent) &^ (readPaused | eof)
		c.updateInterestLocked()
	}
	if c.flags&emptyArmed != 0 && c.out == nil {
		c.flags = c.flags&^emptyArmed | notified
		c.summonLocked()
	}
	if c.flags&drainArmed != 0 && c.QueuedLocked() <= c.policy.Low && c.flags&closing == 0 && !c.openingLocked() {
		c.flags &^= drainArmed
		return true, nil
	}
	return false, nil
}

// summonLocked gets the loop to attend to c, unless an event of c is under way
// and leave will see to it.
func (c *Conn) summonLocked() {
	if c.flags&(dead|posted) != 0 || c.flags&corked != 0 && c.flags&notified == 0 {
		return
	}
	c.postLocked()
}

// postLocked gets the loop to attend to c after the event that is under way.
func (c *Conn) postLocked() {
	if c.flags&posted != 0 {
		return
	}
	c.flags |= posted
	if c.loop.post(mail{c: c}) != nil {
		c.flags &^= posted // the loop has ended, and closed c
	}
}

// openingLocked says that bytes of the handler cannot be sent yet.
func (c *Conn) openingLocked() bool {
	return c.flags&connecting != 0 || c.tls != nil && c.tls.handshake != nil
}

// updateInterestLocked tells the poller what c waits for now.
func (c *Conn) updateInterestLocked() {
	want := c.wantLocked()
	if want == c.want || c.flags&dead != 0 || c.fd < 0 {
		return
	}
	if err := c.loop.poller.mod(int(c.fd), c.want, want); err != nil {
		c.failLocked(unix.ENOMEM)
		return
	}
	c.want = want
}

func (c *Conn) wantLocked() (want interest) {
	if c.flags&(readPaused|connecting) == 0 && (c.tls == nil || !c.tls.fullLocked()) {
		want |= readable
	}
	switch {
	case c.flags&connecting != 0:
		want |= writable
	case c.out == nil || c.out == c.loop.cork: // what is corked was not offered to the socket yet
	case c.tls == nil || c.tls.sendsLocked(c.out):
		want |= writable
	}
	return want
}

// failLocked notes that a write failed; the loop closes c.
func (c *Conn) failLocked(errno syscall.Errno) {
	if c.flags&broken == 0 {
		c.flags |= broken
		c.errno = uint16(errno)
	}
	c.dropLocked()
	c.summonLocked()
}

// ready is an event of the descriptor. Loop only.
func (c *Conn) ready(ev interest) {
	if c.gone {
		return
	}
	if ev&(writable|hangup) != 0 {
		c.writeReady()
	}
	if ev&readable != 0 && !c.gone {
		c.readReady(ev)
	}
}

func (c *Conn) writeReady() {
	c.mu.Lock()
	if c.flags&connecting == 0 {
		if c.out != nil {
			c.flushOnLoopLocked()
		}
		c.mu.Unlock()
		c.leave()
		return
	}
	errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno == 0 {
		if _, err := unix.Getpeername(int(c.fd)); err != nil { // not yet: a stale event
			c.mu.Unlock()
			return
		}
		c.flags &^= connecting
		c.updateInterestLocked()
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		c.doom(os.NewSyscallError("getsockopt", err))
	case errno != 0:
		c.doom(os.NewSyscallError("connect", syscall.Errno(errno)))
	default:
		c.opened()
	}
}

// readsPerEvent bounds how often one connection may fill the loop's buffer
// before the others get their turn.
const readsPerEvent = 8

func (c *Conn) readReady(ev interest) {
	if c.tls != nil {
		c.readSealed(ev)
		return
	}
	buf := c.loop.buf
	for range readsPerEvent {
		f := c.enter()
		if f&(readPaused|connecting) != 0 {
			c.leave()
			c.hungUpWhilePaused(f, ev)
			return
		}
		n, err := recv(int(c.fd), buf)
		c.loop.counters.BytesIn += uint64(max(n, 0))
		if n > 0 && f&closing == 0 {
			c.handler.OnData(buf[:n])
			Poison(buf[:n])
		}
		c.leave()
		if n <= 0 {
			c.readEnded(f, err)
			return
		}
		if c.gone || c.tls != nil || n < len(buf) && ev&hangup == 0 {
			return
		}
	}
	if edgeTriggered {
		c.askAgain()
	}
}

// askAgain makes an edge-triggered poller report what is left.
func (c *Conn) askAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flags&dead == 0 {
		_ = c.loop.poller.mod(int(c.fd), c.want, c.want) // it was added like this
	}
}

// readEnded is what a recv without bytes means.
func (c *Conn) readEnded(f flags, err error) {
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		c.doom(os.NewSyscallError("recv", err))
	case f&finSent != 0: // both sides are done
		c.doom(errLocal)
	default:
		c.mu.Lock()
		c.flags |= eof | readPaused
		c.mu.Unlock()
		if f&closing == 0 {
			c.event((*Conn).ended)
		}
		if !c.gone { // end of file is readable for ever
			c.mu.Lock()
			c.updateInterestLocked()
			c.mu.Unlock()
		}
	}
}

// hungUpWhilePaused keeps a hang-up, which cannot be masked, from being
// reported over and over while nobody reads.
func (c *Conn) hungUpWhilePaused(f flags, ev interest) {
	if c.gone || ev&hangup == 0 || f&connecting != 0 {
		return
	}
	errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		c.doom(os.NewSyscallError("getsockopt", err))
	case errno != 0:
		c.doom(os.NewSyscallError("recv", syscall.Errno(errno)))
	default: // both directions ended in order; what arrived is still to be read
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.want == 0 {
			_ = c.loop.poller.del(int(c.fd), 0) // ResumeRead adds it again
		}
	}
}
