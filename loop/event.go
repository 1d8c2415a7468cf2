package loop

import (
	"os"
	"syscall"
)

// The events of a connection, as arguments for event.
func (c *Conn) timeout()   { c.handler.OnTimer() }
func (c *Conn) notified()  { c.handler.OnNotify() }
func (c *Conn) peerEnded() { c.handler.OnEOF() }

// event runs one callback of c, corked.
func (c *Conn) event(fn func(*Conn)) {
	c.enter()
	fn(c)
	c.leave()
}

// do runs mail with a function in it.
func (c *Conn) do(fn func()) {
	if c.phase == ended {
		return
	}
	c.enter()
	callFunc(fn)
	c.leave()
}

// attend does what the flags ask for.
func (c *Conn) attend() {
	c.mu.Lock()
	c.flags &^= posted
	notify := c.flags&notified != 0 && c.phase != opening
	if notify {
		c.flags &^= notified
	}
	c.mu.Unlock()
	switch {
	case c.phase == ended:
	case notify:
		c.event((*Conn).notified)
	default:
		c.enter()
		c.leave()
	}
	if c.tls != nil && c.phase != ended {
		c.resumeSealed()
	}
}

// enter corks c and returns its status of that moment.
func (c *Conn) enter() status {
	c.mu.Lock()
	s := c.status
	c.flags |= corked
	c.mu.Unlock()
	c.loop.call.conn = c
	return s
}

// leave ends an event: what is queued goes out in one send, and what was asked
// for meanwhile is done.
func (c *Conn) leave() {
	if c.uncork() {
		c.drain()
	}
	c.loop.call.conn = nil
}

func (c *Conn) drain() {
	c.enter()
	c.handler.OnDrain()
	if c.uncork() {
		c.mu.Lock()
		c.flags |= drainArmed
		c.scheduleLocked()
		c.mu.Unlock()
	}
}

// uncork flushes and acts on the status; drain says that OnDrain is due.
func (c *Conn) uncork() (drain bool) {
	c.mu.Lock()
	c.flags &^= corked
	c.loop.countCorkLocked()
	if c.out != nil && c.want&writable == 0 && !c.sendCorkLocked() {
		c.flushLocked(nil, nil)
	}
	var over error
	if c.flags != 0 || c.asked != stayOpen {
		drain, over = c.actLocked()
	}
	c.mu.Unlock()
	if over != nil {
		c.end(over)
	}
	return drain
}

// actLocked acts on the status when no event is under way. over is why the
// connection ends now, if it does.
func (c *Conn) actLocked() (drain bool, over error) {
	if c.phase == ended || c.fd < 0 { // open acts on what was asked for before it
		return false, nil
	}
	if over = c.closeLocked(); over != nil {
		return false, over
	}
	if c.flags&emptyArmed != 0 && c.out == nil {
		c.flags = c.flags&^emptyArmed | notified
		c.scheduleLocked()
	}
	if c.flags&lowArmed != 0 && c.QueuedLocked() <= c.policy.Load().Low {
		c.flags = c.flags&^lowArmed | notified
		c.scheduleLocked()
	}
	if c.flags&drainArmed != 0 && c.drainedLocked() && c.asked == stayOpen && !c.openingLocked() {
		c.flags &^= drainArmed
		return true, nil
	}
	return false, nil
}

// closeLocked carries out what Close asked for, as far as that can be done now,
// and returns why the connection ends, if it does.
func (c *Conn) closeLocked() error {
	switch c.asked {
	case stayOpen:
	case CloseLinger:
		return c.lingerLocked()
	case CloseFlushed:
		if c.out == nil && c.closeNotifyLocked() {
			return errLocal
		}
	case CloseNow:
		c.partLocked()
		return errLocal
	case CloseReset:
		resetOnClose(int(c.fd))
		return errLocal
	case writeFailed:
		return os.NewSyscallError("send", unpackErrno(c.errno))
	}
	return nil
}

// lingerLocked ends the writing side when nothing is queued any more.
func (c *Conn) lingerLocked() error {
	switch {
	case c.out != nil || c.phase == finSent:
		return nil
	case c.openingLocked():
		return errLocal
	case !c.closeNotifyLocked():
		return nil
	}
	if err := shutdownWrite(int(c.fd)); err != nil {
		return errLocal // the peer is gone: nobody reads the last words
	}
	c.advanceLocked(finSent)
	return nil
}

// scheduleLocked gets the loop to attend to c, unless an event of c is under way
// and leave will see to it.
func (c *Conn) scheduleLocked() {
	if c.phase == ended || c.flags&posted != 0 || c.flags&corked != 0 && c.flags&notified == 0 {
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
	return c.phase == opening || c.tls != nil && c.tls.shaking()
}

// updateInterestLocked tells the poller what c waits for now.
func (c *Conn) updateInterestLocked() {
	want := c.wantLocked()
	if want == c.want || c.phase == ended || c.fd < 0 {
		return
	}
	if err := c.loop.poller.mod(int(c.fd), c.want, want); err != nil {
		c.failLocked(syscall.ENOMEM)
		return
	}
	c.want = want
}

func (c *Conn) wantLocked() (want interest) {
	if c.flags&readPaused == 0 && c.phase != opening && (c.tls == nil || !c.tls.fullLocked()) {
		want |= readable
	}
	switch {
	case c.phase == opening:
		want |= writable
	case c.out == nil || c.out == c.loop.cork: // what is corked was not offered to the socket yet
	case c.tls == nil || c.tls.sendsLocked(c.out):
		want |= writable
	}
	return want
}

// failLocked notes that a write failed; the loop closes c.
func (c *Conn) failLocked(errno syscall.Errno) {
	if c.asked != writeFailed {
		c.asked = writeFailed
		c.errno = packErrno(errno)
	}
	c.loseLocked()
	c.scheduleLocked()
}

// ready is an event of the descriptor. Loop only.
func (c *Conn) ready(ev interest) {
	if c.phase == ended {
		return
	}
	if ev&(writable|hangup) != 0 {
		c.writeReady()
	}
	if ev&readable != 0 && c.phase != ended {
		c.readReady(ev)
	}
}

func (c *Conn) writeReady() {
	c.mu.Lock()
	if c.phase != opening {
		if c.out != nil {
			c.flushLocked(nil, nil)
		}
		c.mu.Unlock()
		c.leave()
		return
	}
	err := socketError(int(c.fd))
	if err == nil {
		if !connected(int(c.fd)) { // not yet: a stale event
			c.mu.Unlock()
			return
		}
		c.advanceLocked(open)
		c.updateInterestLocked()
	}
	c.mu.Unlock()
	if err != nil {
		c.end(os.NewSyscallError("connect", err))
		return
	}
	c.opened()
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
		s := c.enter()
		if s.flags&readPaused != 0 || s.phase == opening {
			c.leave()
			c.hungUpWhilePaused(s, ev)
			return
		}
		n, err := recv(int(c.fd), buf)
		c.loop.counters.BytesIn += uint64(max(n, 0))
		switch {
		case n <= 0:
		case s.listens():
			c.handler.OnData(buf[:n])
			Poison(buf[:n])
		default:
			c.discarded(n)
		}
		c.leave()
		if n <= 0 {
			c.readEnded(s, err)
			return
		}
		if c.phase == ended || c.tls != nil || n < len(buf) && ev&hangup == 0 {
			return
		}
		if c.loop.Left() == 0 {
			break
		}
	}
	if edgeTriggered {
		c.askAgain()
	}
}

// discarded reports n bytes that came after Close. Loop only, inside an event.
func (c *Conn) discarded(n int) {
	if h, ok := c.handler.(DiscardHandler); ok && c.phase != ended {
		h.OnDiscard(n)
	}
}

// askAgain makes an edge-triggered poller report what is left.
func (c *Conn) askAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != ended {
		_ = c.loop.poller.mod(int(c.fd), c.want, c.want) // it was added like this
	}
}

// ErrPeerReset is what OnClose gets if a read finds that the peer has reset the connection. It is
// made before: many peers may leave like that at once.
var ErrPeerReset = os.NewSyscallError("recv", syscall.ECONNRESET)

// readEnded is what a recv without bytes means.
func (c *Conn) readEnded(s status, err error) {
	switch {
	case err == syscall.EAGAIN:
	case err == syscall.ECONNRESET:
		c.end(ErrPeerReset)
	case err != nil:
		c.end(os.NewSyscallError("recv", err))
	case s.phase == finSent: // both sides are done
		c.end(errLocal)
	default:
		c.mu.Lock()
		c.flags |= eof | readPaused
		c.mu.Unlock()
		if s.listens() {
			c.event((*Conn).peerEnded)
		}
		if c.phase != ended { // end of file is readable for ever
			c.mu.Lock()
			c.updateInterestLocked()
			c.mu.Unlock()
		}
	}
}

// hungUpWhilePaused keeps a hang-up, which cannot be masked, from being
// reported over and over while nobody reads.
func (c *Conn) hungUpWhilePaused(s status, ev interest) {
	if c.phase == ended || ev&hangup == 0 || s.phase == opening {
		return
	}
	if err := socketError(int(c.fd)); err != nil {
		c.end(os.NewSyscallError("recv", err))
		return
	}
	// Both directions ended in order; what arrived is still to be read.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want == 0 {
		_ = c.loop.poller.del(int(c.fd), 0) // ResumeRead adds it again
	}
}
