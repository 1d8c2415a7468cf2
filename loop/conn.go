package loop

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrClosed is returned by writes to a connection that is closed or whose
	// writing side is.
	ErrClosed = errors.New("loop: connection closed")
	// ErrBackpressure is returned by writes that would queue more than the
	// connection's WritePolicy allows. Nothing of the write is sent.
	ErrBackpressure = errors.New("loop: write queue is full")
)

// Handler receives the events of one connection, on the loop that owns it,
// one at a time. It embeds its Conn, so that a connection is one object.
type Handler interface {
	// LoopConn returns the Conn that the handler embeds; the same one always.
	LoopConn() *Conn
	// OnOpen is the first event: accepted, adopted or connected.
	OnOpen()
	// OnData hands over bytes that arrived. b is borrowed until OnData
	// returns and may be scribbled on. It does not come after Close.
	OnData(b []byte)
	// OnEOF says that the peer will send no more. The handler closes the
	// connection, at once or later. It does not come after Close.
	OnEOF()
	// OnNotify answers Notify.
	OnNotify()
	// OnTimer says that the time given to SetTimer has come.
	OnTimer()
	// OnDrain says that the queue fell to the policy's Low after it had been
	// over High or had refused a write. If OnDrain fills it again and the
	// socket takes that too, others get their turn before the next OnDrain.
	OnDrain()
	// OnClose is the last event, outside any other. err is nil when this side
	// closed the connection, and otherwise why it ended.
	OnClose(err error)
}

// WritePolicy bounds the write queues of the connections that share it.
type WritePolicy struct {
	// Limit is the most bytes a queue may hold; 0 means no limit. A write to
	// an empty queue is always taken, so a message may be larger than Limit.
	Limit int
	// High and Low are the marks, in bytes, of OnDrain.
	High, Low int
}

// CloseMode says what happens to queued bytes when this side closes.
type CloseMode uint8

const (
	// CloseNow drops what is queued.
	CloseNow CloseMode = iota
	// CloseReset drops what is queued, in both directions, and sends RST.
	CloseReset
	// CloseFlushed closes after what is queued was given to the kernel. If the
	// peer sends until then, the kernel resets the connection, and the peer may
	// miss the end: CloseLinger is for that.
	CloseFlushed
	// CloseLinger flushes, ends the writing side, then drops what still
	// arrives until the peer ends too, so that it can read the last words. The
	// handler sets a timer to bound the wait.
	CloseLinger
)

// flags are guarded by the connection's mutex.
type flags uint16

const (
	corked      flags = 1 << iota // inside an event: writes append
	connecting                    // not open yet
	posted                        // in the mailbox
	notified                      // OnNotify is due
	readPaused                    // no read interest
	drainArmed                    // OnDrain is due at the low mark
	broken                        // a write failed with Conn.errno
	closeNow                      // close modes asked for
	closeReset                    //
	closeFlush                    //
	closeLinger                   //
	finSent                       // the writing side is shut down
	eof                           // the peer ended its writing side
	adopted                       // the descriptor may have duplicates
	dead                          // nothing more is sent or read
	emptyArmed                    // OnNotify is due when the queue is empty
)

const closing = closeNow | closeReset | closeFlush | closeLinger

// Conn is one connection: bytes over a descriptor. Embed it in a Handler. Its
// zero value is ready to be opened, once.
type Conn struct {
	// Immutable after it is opened.
	loop    *Loop
	handler Handler
	policy  *WritePolicy

	// Owned by the loop.
	timer timer
	gone  bool // ended: waits for bury

	// Guarded by mu.
	want  interest
	flags flags
	errno uint16 // why a write failed
	fd    int32
	mu    sync.Mutex
	out   *outbox // nil: nothing is queued
}

// Loop returns the loop that owns the connection; nil before it is opened. Any
// goroutine that learned of the connection after it was opened.
func (c *Conn) Loop() *Loop { return c.loop }

// Handler returns what receives the events of c; nil before it is opened. Any
// goroutine that learned of the connection after it was opened.
func (c *Conn) Handler() Handler { return c.handler }

// SetTimer makes OnTimer come d after [Loop.Now], replacing an earlier
// SetTimer; d <= 0 takes it back, more than a year counts as a year. It fires
// up to 16 ms late and later if callbacks keep the loop busy, never early.
// Loop only, from OnOpen on.
func (c *Conn) SetTimer(d time.Duration) {
	if c.gone {
		return
	}
	if d <= 0 {
		c.loop.wheel.disarm(c)
		return
	}
	at := c.loop.now + min(d, maxTimer)
	c.loop.wheel.arm(c, at)
	c.loop.turnAt(at)
}

// Notify makes OnNotify come on the owning loop, once for any number of calls
// before it, and after OnOpen. It allocates nothing. Any goroutine.
func (c *Conn) Notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flags |= notified
	c.summonLocked()
}

// Do runs fn on the owning loop inside an event of the connection, so what it
// writes leaves in one send. fn does not run if the connection has ended by
// then. Any goroutine; ErrClosed if it is known already that fn will not run.
func (c *Conn) Do(fn func()) error {
	c.mu.Lock()
	gone := c.flags&dead != 0
	c.mu.Unlock()
	if gone || c.loop.post(mail{c: c, fn: fn}) != nil {
		return ErrClosed
	}
	return nil
}

// Close closes this side as mode says; a stronger mode replaces a weaker one.
// OnClose follows. Any goroutine.
func (c *Conn) Close(mode CloseMode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch mode {
	case CloseNow:
		c.flags |= closeNow
	case CloseReset:
		c.flags |= closeReset
	case CloseFlushed:
		c.flags |= closeFlush
	case CloseLinger:
		c.flags |= closeLinger
	}
	c.summonLocked()
}

// PauseRead stops reading: bytes stay in the kernel, and TCP slows the peer
// down. Bytes of the event under way are still delivered. Any goroutine.
func (c *Conn) PauseRead() { c.setPaused(true) }

// ResumeRead undoes PauseRead. Any goroutine.
func (c *Conn) ResumeRead() { c.setPaused(false) }

func (c *Conn) setPaused(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if paused == (c.flags&readPaused != 0) || c.flags&(dead|eof|finSent) != 0 {
		return
	}
	c.flags ^= readPaused
	c.updateInterestLocked()
}

// Unread says whether something waits to be read, be it the end: what the peer
// sent while the loop was busy. Loop only.
func (c *Conn) Unread() bool {
	if c.gone {
		return false
	}
	var b [1]byte
	_, _, err := unix.Recvfrom(int(c.fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil
}

// RemoteAddr asks the kernel for the peer's address; nil if the connection has
// ended. Any goroutine.
func (c *Conn) RemoteAddr() net.Addr { return c.address(unix.Getpeername) }

// LocalAddr is RemoteAddr for this side.
func (c *Conn) LocalAddr() net.Addr { return c.address(unix.Getsockname) }

func (c *Conn) address(ask func(int) (unix.Sockaddr, error)) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.loop == nil {
		return nil
	}
	sa, err := ask(int(c.fd))
	if err != nil {
		return nil
	}
	return netAddr(sa)
}

// bind ties c to its loop before that has seen it: from now on c may be written
// to and closed, which waits until c is open.
func (c *Conn) bind(l *Loop, h Handler, policy *WritePolicy) {
	if policy == nil {
		policy = &noBounds
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loop, c.handler, c.policy = l, h, policy
	c.fd, c.want = -1, writable
	c.flags |= connecting
}

var noBounds WritePolicy

// unbind undoes bind when the loop will never see c.
func (c *Conn) unbind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flags |= dead
	c.dropLocked()
}

// open gives c, which is bound, its descriptor, which c owns from now on. If
// that fails, OnClose says so. Loop only.
func (c *Conn) open(fd int, state flags) {
	c.mu.Lock()
	c.flags &^= connecting
	c.flags |= state
	c.fd, c.want = int32(fd), c.wantLocked()
	err := c.loop.poller.add(fd, c.want)
	if err != nil {
		c.fd = -1
		c.flags |= dead
	}
	c.mu.Unlock()
	if err != nil {
		_ = unix.Close(fd) // never used
		c.stillborn(err)
		return
	}
	c.loop.enlist(fd, c)
	if state&connecting == 0 {
		c.opened()
	}
}

// stillborn ends a connection that never had a descriptor. Loop only.
func (c *Conn) stillborn(err error) {
	c.gone = true
	c.mu.Lock()
	c.fd = -1
	c.flags |= dead
	c.dropLocked()
	c.mu.Unlock()
	c.handler.OnClose(err)
}

// opened is the first event. What was asked for before it follows.
func (c *Conn) opened() {
	c.enter()
	c.handler.OnOpen()
	c.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flags&notified != 0 {
		c.summonLocked()
	}
}

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

// errLocal stands for "this side closed", which OnClose reports as nil.
var errLocal = errors.New("closed by this side")

// settleLocked acts on the flags when no event is under way. over is why the
// connection ends now, if it does.
func (c *Conn) settleLocked() (drain bool, over error) {
	switch {
	case c.flags&dead != 0:
		return false, nil
	case c.flags&broken != 0:
		return false, os.NewSyscallError("send", syscall.Errno(c.errno))
	case c.flags&closeReset != 0:
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		return false, errLocal
	case c.flags&closeNow != 0:
		return false, errLocal
	case c.flags&closeFlush != 0 && c.out == nil:
		return false, errLocal
	case c.flags&(closeLinger|connecting) == closeLinger|connecting && c.out == nil:
		return false, errLocal
	case c.flags&(closeLinger|finSent) == closeLinger && c.out == nil:
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
	if c.flags&drainArmed != 0 && c.QueuedLocked() <= c.policy.Low && c.flags&closing == 0 {
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
	c.flags |= posted
	if c.loop.post(mail{c: c}) != nil {
		c.flags &^= posted // the loop has ended, and closed c
	}
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
	if c.flags&(readPaused|connecting) == 0 {
		want |= readable
	}
	if c.flags&connecting != 0 || c.out != nil && c.out != c.loop.cork {
		want |= writable // what is corked was not offered to the socket yet
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
		if c.gone || n < len(buf) && ev&hangup == 0 {
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

// doom ends c: nothing is read or sent any more. The descriptor stays open,
// and its number taken, until bury. Loop only.
func (c *Conn) doom(err error) {
	if c.gone {
		return
	}
	if err == errLocal {
		err = nil
	}
	c.gone = true
	c.mu.Lock()
	c.flags |= dead
	c.dropLocked()
	c.mu.Unlock()
	c.loop.wheel.disarm(c)
	c.loop.doomed = append(c.loop.doomed, doomed{c: c, err: err})
	c.loop.poller.wakeSelf()
}

// bury closes the descriptor: after the events of the iteration in which c
// ended, under its lock, so that no one can use the number afterwards.
func (c *Conn) bury() {
	c.mu.Lock()
	fd := int(c.fd)
	c.fd = -1
	want, f := c.want, c.flags
	c.mu.Unlock()
	c.loop.delist(fd)
	if f&adopted != 0 {
		_ = c.loop.poller.del(fd, want) // close does it, but for duplicates
	}
	closeFD(fd)
}
