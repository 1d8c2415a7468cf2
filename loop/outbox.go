package loop

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// gatherMin is the size from which bytes written inside an event go to the
	// socket at once, from where they are, instead of being copied to the
	// outbox: the copy would cost more than the system call it saves.
	gatherMin = 8 << 10
	// A send is capped in bytes and buffers, so that a stop of the world never
	// waits long for one.
	maxSend    = 256 << 10
	maxBuffers = 1024
	// corkSize is how much an event may queue before it needs a pooled chunk.
	corkSize = 64 << 10
)

// segment is a run of queued bytes: the filled part of a chunk of this outbox,
// or a Shared.
type segment struct {
	b     []byte
	chunk *chunk // nil: shared, or the bytes of a cork
}

// outbox is what a connection has queued, oldest first. Guarded by the mutex
// of the connection that holds it.
type outbox struct {
	segs     []segment
	first    int           // segs before it are sent
	size     int           // bytes queued
	progress time.Duration // when the socket last took bytes
	cork     []byte        // the loop's cork only: its own buffer, reused
	gather   *gather       // the loop's cork only: scratch of its flushes
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

func newCork() *outbox { return &outbox{cork: make([]byte, 0, corkSize), gather: new(gather)} }

// append copies p to the end.
func (o *outbox) append(p []byte) {
	o.size += len(p)
	for len(p) > 0 {
		if last := len(o.segs) - 1; last >= o.first && o.segs[last].chunk != nil {
			s := &o.segs[last]
			room := cap(s.b) - len(s.b)
			n := min(room, len(p))
			s.b = append(s.b, p[:n]...)
			p = p[n:]
			if len(p) == 0 {
				return
			}
		}
		ch := getChunk(max(len(p), min(o.size, maxChunk)))
		o.push(segment{b: ch.b, chunk: ch})
	}
}

// push adds a segment. It takes the room of those that are sent before it asks
// for more: a queue that is never empty must not grow for ever.
func (o *outbox) push(s segment) {
	if len(o.segs) == cap(o.segs) && o.first > len(o.segs)/2 {
		n := copy(o.segs, o.segs[o.first:])
		clear(o.segs[n:])
		o.segs, o.first = o.segs[:n], 0
	}
	o.segs = append(o.segs, s)
}

// appendCorked is append for the loop's cork: into its own buffer while that
// has room.
func (o *outbox) appendCorked(p []byte) {
	if len(p) == 0 { // an empty segment would keep the next write out
		return
	}
	if cap(o.cork)-len(o.cork) < len(p) || len(o.segs) > 1 || len(o.segs) == 1 && len(o.cork) == 0 {
		o.append(p)
		return
	}
	o.cork = append(o.cork, p...)
	o.size += len(p)
	if len(o.segs) == 0 {
		o.segs = append(o.segs, segment{})
	}
	o.segs[0].b = o.cork
}

// appendRef queues shared bytes by reference.
func (o *outbox) appendRef(b []byte) {
	o.size += len(b)
	o.push(segment{b: b})
}

// consume forgets the first n bytes.
func (o *outbox) consume(n int) {
	o.size -= n
	for n > 0 {
		s := &o.segs[o.first]
		if n < len(s.b) {
			s.b = s.b[n:]
			return
		}
		n -= len(s.b)
		o.drop(o.first)
		o.first++
	}
	if o.first == len(o.segs) {
		o.segs, o.first = o.segs[:0], 0
	}
}

func (o *outbox) drop(i int) {
	if ch := o.segs[i].chunk; ch != nil {
		putChunk(ch)
	}
	o.segs[i] = segment{}
}

// reset drops everything.
func (o *outbox) reset() {
	for i := o.first; i < len(o.segs); i++ {
		o.drop(i)
	}
	Poison(o.cork)
	o.segs, o.first, o.size, o.cork = o.segs[:0], 0, 0, o.cork[:0]
	if cap(o.segs) > maxBuffers {
		o.segs = nil
	}
}

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
	if c.appendsLocked(n) {
		o := c.queueLocked()
		if o == c.loop.cork {
			o.appendCorked(head)
			o.appendCorked(body)
		} else {
			o.append(head)
			o.append(body)
		}
		c.markLocked()
		return nil
	}
	sent, done := c.gatherLocked(head, body)
	if done {
		return nil
	}
	o := c.queueLocked()
	if sent < len(head) {
		o.append(head[sent:])
		sent = len(head)
	}
	o.append(body[sent-len(head):])
	c.markLocked()
	c.blockedLocked()
	return nil
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
	if c.appendsLocked(len(s.b)) {
		c.queueLocked().appendRef(s.b)
		c.markLocked()
		return nil
	}
	sent, done := c.gatherLocked(s.b, nil)
	if done {
		return nil
	}
	c.queueLocked().appendRef(s.b[sent:])
	c.markLocked()
	c.blockedLocked()
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
		o.appendRef(s.b)
	}
	c.markLocked()
	return nil
}

// FlushLocked sends what QueueSharedLocked queued, in as few system calls as
// will do. For the loop, holding Lock.
func (c *Conn) FlushLocked() {
	if c.out != nil && c.want&writable == 0 {
		c.flushLocked()
	}
}

// Lock takes the mutex of the connection, which guards its write side. A
// handler may guard what belongs to its own write side with it. It must not be
// held for long, nor while any method is called whose name does not end in
// Locked.
func (c *Conn) Lock() { c.mu.Lock() }

// Unlock gives the mutex back.
func (c *Conn) Unlock() { c.mu.Unlock() }

// BlockedLocked says whether the socket takes no more for now, so that writes
// are queued. For a caller that holds Lock.
func (c *Conn) BlockedLocked() bool { return c.want&writable != 0 }

// ArmDrainLocked makes OnDrain come when the queue falls to the policy's Low,
// as if a write had been refused. For a caller that holds Lock.
func (c *Conn) ArmDrainLocked() { c.flags |= drainArmed }

// Queued returns the number of bytes written and not yet given to the kernel.
// Any goroutine.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queuedLocked()
}

// Stalled returns for how long the socket has taken nothing of what is queued;
// 0 if nothing is queued. Any goroutine.
func (c *Conn) Stalled() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil || c.want&writable == 0 || c.flags&connecting != 0 {
		return 0
	}
	return c.loop.group.now() - c.out.progress
}

func (c *Conn) queuedLocked() int {
	if c.out == nil {
		return 0
	}
	return c.out.size
}

// admitLocked decides whether n more bytes may be written.
func (c *Conn) admitLocked(n int, urgent bool) error {
	if c.flags&(dead|broken|closing|finSent) != 0 {
		return ErrClosed
	}
	limit := c.policy.Limit
	if limit <= 0 || urgent || c.queuedLocked()+n <= limit {
		return nil
	}
	if c.want&writable == 0 && c.out == c.loop.cork {
		c.flushLocked() // no backlog yet: the socket was not asked
		if c.flags&broken != 0 {
			return ErrClosed
		}
	}
	if c.out != nil && c.out.size+n > limit {
		c.flags |= drainArmed
		return ErrBackpressure
	}
	return nil
}

// appendsLocked says whether n more bytes join the queue. Otherwise the socket
// may take them: nothing waits for it to become writable, and either no event
// is under way, or they are too many to be worth a copy and what is queued
// before them can go along.
func (c *Conn) appendsLocked(n int) bool {
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
	c.flushLocked() // or one event could queue without bound
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

// markLocked follows an append.
func (c *Conn) markLocked() {
	if high := c.policy.High; high > 0 && c.out.size > high {
		c.flags |= drainArmed
	}
}

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

// send makes one system call of the oldest bytes.
func (o *outbox) send(fd int, g *gather) (int, error) {
	segs := o.segs[o.first:]
	if len(segs) == 1 {
		b := segs[0].b
		return send(fd, b[:min(len(b), maxSend)])
	}
	g.bufs = g.bufs[:0]
	room := maxSend
	for _, s := range segs {
		b := s.b[:min(len(s.b), room)]
		g.bufs = append(g.bufs, b)
		room -= len(b)
		if room == 0 || len(g.bufs) == maxBuffers {
			break
		}
	}
	n, err := sendv(fd, g)
	clear(g.bufs)
	return n, err
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
