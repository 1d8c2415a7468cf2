package loop

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
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
	// OnDrain says that the queue fell, after it had been over High or had
	// refused a write: to the policy's Low, and so far that a write which was
	// refused for the Limit would be taken. If OnDrain fills it again and the
	// socket takes that too, others get their turn before the next OnDrain.
	OnDrain()
	// OnClose is the last event, outside any other. err is nil when this side
	// closed the connection, and otherwise why it ended.
	OnClose(err error)
}

// DiscardHandler is a [Handler] that bounds what a peer sends after Close.
type DiscardHandler interface {
	Handler
	// OnDiscard says that n bytes of the peer were read and dropped, since Close was
	// called. Close(CloseNow) ends the connection of a peer that sends too many.
	OnDiscard(n int)
}

// WritePolicy bounds the write queues of the connections that share it.
type WritePolicy struct {
	// Limit is the most bytes a queue may hold; 0 means no limit. A write to
	// an empty queue is always taken, so a message may be larger than Limit.
	Limit int
	// High and Low are the marks, in bytes, of OnDrain.
	High, Low int
	// Owner is what the program finds these bounds in, for a handler that asks Policy. The
	// loop does not look at it.
	Owner any
}

// CloseMode says what happens to queued bytes when this side closes. The modes
// are in the order of their strength.
type CloseMode uint8

const (
	stayOpen CloseMode = iota // Close was not called
	// CloseLinger flushes, ends the writing side, then drops what still
	// arrives until the peer ends too, so that it can read the last words. The
	// handler sets a timer to bound the wait; a [DiscardHandler] can bound the
	// bytes.
	CloseLinger
	// CloseFlushed closes after what is queued was given to the kernel. If the
	// peer sends until then, the kernel resets the connection, and the peer may
	// miss the end: CloseLinger is for that.
	CloseFlushed
	// CloseNow drops what is queued.
	CloseNow
	// CloseReset drops what is queued, in both directions, and sends RST.
	CloseReset
	writeFailed // the socket refused a write with Conn.errno: nothing can be sent
)

// phase is how far the life of a connection has gone. It only moves on, by the
// loop, in advanceLocked.
type phase uint8

const (
	opening phase = iota // no descriptor yet, or it connects
	open                 // bytes are sent, and received unless Close was called
	finSent              // the writing side is shut down; the peer's end is awaited
	ended                // nothing is sent or received; the descriptor is about to be closed
)

// flags are facts that do not depend on the phase.
type flags uint16

const (
	corked     flags = 1 << iota // inside an event: writes append
	posted                       // in the mailbox
	notified                     // OnNotify is due
	readPaused                   // no read interest
	drainArmed                   // OnDrain is due when the queue falls to outbox.mark
	eof                          // the peer ended its writing side
	adopted                      // the descriptor may have duplicates
	emptyArmed                   // OnNotify is due when the queue is empty
	lowArmed                     // OnNotify is due when the queue is at the policy's Low
	lost                         // bytes that were taken from the handler were not sent
)

// status is what an event needs to know about its connection.
type status struct {
	phase phase
	asked CloseMode // the strongest Close so far
	flags flags
}

// listens reports whether the handler still gets what the peer sends.
func (s status) listens() bool { return s.asked == stayOpen && s.phase != ended }

// Conn is one connection: bytes over a descriptor. Embed it in a Handler. Its
// zero value is ready to be opened, once.
type Conn struct {
	// Owned by the loop. The rest stands together, as events touch it.
	timer links
	due   uint32 // the low bits of a tick since the group started
	timed timerState

	// Guarded by mu.
	want  interest
	errno uint16 // why a write failed

	// Immutable after it is opened.
	loop    *Loop
	handler Handler

	policy atomic.Pointer[WritePolicy] // written under mu, read by anyone

	// Guarded by mu. Only the loop changes the phase, and reads it without mu.
	status
	fd  int32
	mu  sync.Mutex
	out *outbox   // nil: nothing is queued
	tls *tlsLayer // nil: not encrypted; set on the loop, which reads it without mu
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
	if c.phase == ended {
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

// TimerLeft returns how long after [Loop.Now] OnTimer comes; 0 if no timer is set.
// Loop only.
func (c *Conn) TimerLeft() time.Duration {
	if c.timed != timerArmed {
		return 0
	}
	ticks := int32(c.due - uint32(c.loop.now/tickLength))
	return max(0, time.Duration(ticks)*tickLength-c.loop.now%tickLength)
}

// HastenTimer is SetTimer(d), unless OnTimer comes sooner anyway. It reports whether it
// set the timer. d is above 0.
func (c *Conn) HastenTimer(d time.Duration) bool {
	switch c.timed {
	case timerDue:
		return false
	case timerArmed:
		if int32(c.due-uint32(ticksUp(c.loop.now+min(d, maxTimer)))) <= 0 {
			return false
		}
	case timerOff:
	}
	c.SetTimer(d)
	return c.phase != ended
}

// Notify makes OnNotify come on the owning loop, once for any number of calls
// before it, and after OnOpen. It allocates nothing. Any goroutine.
func (c *Conn) Notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flags |= notified
	c.scheduleLocked()
}

// Do runs fn on the owning loop inside an event of the connection, so what it
// writes leaves in one send. fn does not run if the connection has ended by
// then. Any goroutine; ErrClosed if it is known already that fn will not run.
func (c *Conn) Do(fn func()) error {
	c.mu.Lock()
	gone := c.phase == ended
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
	c.asked = max(c.asked, mode)
	c.scheduleLocked()
}

// PauseRead stops reading: bytes stay in the kernel, and TCP slows the peer
// down. Bytes of the event under way are still delivered. Any goroutine.
func (c *Conn) PauseRead() { c.setPaused(true) }

// ResumeRead undoes PauseRead. Any goroutine.
func (c *Conn) ResumeRead() { c.setPaused(false) }

func (c *Conn) setPaused(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if paused == (c.flags&readPaused != 0) || c.flags&eof != 0 || c.phase >= finSent {
		return
	}
	c.flags ^= readPaused
	c.updateInterestLocked()
	if !paused && c.tls != nil {
		c.postLocked() // what was decrypted, or received, and is not delivered
	}
}

// Unread reports whether something waits to be read, be it the end: what the peer
// sent while the loop was busy. Loop only.
func (c *Conn) Unread() bool {
	if c.phase == ended {
		return false
	}
	if c.tls != nil && c.tls.unread {
		return true
	}
	return inputWaits(int(c.fd))
}

// Lost reports whether bytes that a write had taken were given up before the kernel
// had them. Any goroutine; it is final in OnClose.
func (c *Conn) Lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flags&lost != 0
}

// RemoteAddr asks the kernel for the peer's address; nil once OnClose has
// returned, and elsewhere than on Linux after a reset. Any goroutine.
func (c *Conn) RemoteAddr() net.Addr { return c.address(peerAddr) }

// LocalAddr is RemoteAddr for this side.
func (c *Conn) LocalAddr() net.Addr { return c.address(sockAddr) }

func (c *Conn) address(ask func(fd int) net.Addr) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.loop == nil {
		return nil
	}
	return ask(int(c.fd))
}
