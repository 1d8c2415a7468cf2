package loop

import (
	"sync"
	"time"
	"unsafe"
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
	// copyMax is the largest part of a Shared that is copied when it has to wait:
	// a reference would cost about as much.
	copyMax = 128
	// keptSegments is the room for segments that an outbox in the pool keeps.
	keptSegments = 64
)

// segment is a run of queued bytes: of a chunk of this outbox, of a Shared, or, for
// as long as a call lasts, of somebody else's.
type segment struct {
	b      []byte
	chunk  *chunk  // given back with this segment: the last one that is in it
	shared *Shared // what b is a part of
}

const segmentSize = int(unsafe.Sizeof(segment{}))

// release gives the chunk back, if s has one.
func (s segment) release() {
	if s.chunk != nil {
		putChunk(s.chunk)
	}
}

// outbox is what a connection has queued, oldest first. Guarded by the mutex
// of the connection that holds it.
type outbox struct {
	segs     []segment
	first    int           // segs before it are sent
	prepared int           // segs before it have to wait: their Shared count this place
	tail     int           // the segment after the last one of a chunk; 0: none
	sealed   segment       // ciphertext of an encrypted connection: goes first
	size     int           // bytes queued
	mark     int           // size at which OnDrain is due, if it is armed
	chunks   int           // room of all chunks of segs
	referred int           // what the Shared cost that count this place
	tallied  load          // what the loop counts
	sent     int           // bytes given to the socket since something waits
	taken    int           // of them, those that the peer had at progress
	progress time.Duration // when Stalled last saw the peer get on
	looked   bool          // the two above are known
	borrowed bool          // the last segment is only lent
	cork     []byte        // the loop's cork only: its own buffer, reused
	messages int           // the loop's cork only: those of the event under way that are not counted yet
	gather   *gather       // the loop's cork only: scratch of its flushes
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

func newCork() *outbox { return &outbox{cork: make([]byte, 0, corkSize), gather: new(gather)} }

// append copies p to the end.
func (o *outbox) append(p []byte) {
	o.size += len(p)
	o.copy(p)
}

// copy is append for bytes that size has already.
func (o *outbox) copy(p []byte) {
	for len(p) > 0 {
		if !o.hasRoom(min(len(p), copyMax)) {
			o.pushChunk(getChunk(max(len(p), min(o.chunks, maxChunk))))
		}
		s := &o.segs[len(o.segs)-1]
		n := min(len(p), cap(s.b)-len(s.b))
		s.b = append(s.b, p[:n]...)
		p = p[n:]
	}
}

// hasRoom reports whether the last chunk has room for n bytes. It makes the rest of it
// the last segment, if something else was queued since.
func (o *outbox) hasRoom(n int) bool {
	if o.tail <= o.first {
		return false
	}
	s := &o.segs[o.tail-1]
	used := len(s.b)
	switch {
	case cap(s.b)-used < n:
		return false
	case o.tail < len(o.segs):
		rest := segment{b: s.b[used:used:cap(s.b)], chunk: s.chunk}
		s.b, s.chunk = s.b[:used:used], nil
		o.push(rest)
		o.tail = len(o.segs)
	}
	return true
}

// pushChunk adds a segment of a chunk of its own.
func (o *outbox) pushChunk(ch *chunk) {
	o.chunks += cap(ch.b)
	o.push(segment{b: ch.b, chunk: ch})
	o.tail = len(o.segs)
}

// move takes a segment of the cork over.
func (o *outbox) move(s segment) {
	o.size += len(s.b)
	o.push(s)
	if s.chunk != nil {
		o.chunks += cap(s.chunk.b)
		o.tail = len(o.segs)
	}
}

// push adds a segment. It takes the room of those that are sent before it asks
// for more: a queue that is never empty must not grow for ever.
func (o *outbox) push(s segment) {
	if len(o.segs) == cap(o.segs) && o.first > len(o.segs)/2 {
		n := copy(o.segs, o.segs[o.first:])
		clear(o.segs[n:])
		o.segs = o.segs[:n]
		o.prepared, o.tail = max(o.prepared-o.first, 0), max(o.tail-o.first, 0)
		o.first = 0
	}
	o.segs = append(o.segs, s)
}

// appendCorked is append for the loop's cork: into its own buffer while that
// has room.
func (o *outbox) appendCorked(p []byte) {
	if len(p) == 0 { // an empty segment would keep the next write out
		return
	}
	if b := o.extendCork(len(p)); b != nil {
		copy(b, p)
		return
	}
	o.append(p)
}

// extendCork adds n bytes to the buffer of the loop's cork, and returns them; nil: it
// has no room for them, or is not what is queued last.
func (o *outbox) extendCork(n int) []byte {
	used := len(o.cork)
	if cap(o.cork)-used < n || len(o.segs) > 1 || len(o.segs) == 1 && used == 0 {
		return nil
	}
	o.cork = o.cork[:used+n]
	o.size += n
	if len(o.segs) == 0 {
		o.segs = append(o.segs, segment{})
	}
	o.segs[0].b = o.cork
	return o.cork[used:]
}

// appendRef queues s from the byte at on, by reference.
func (o *outbox) appendRef(s *Shared, at int) {
	o.size += len(s.b) - at
	o.push(segment{b: s.b[at:], shared: s})
}

// prepareToWait prepares for a wait what was queued since the last time: small parts of a
// Shared are copied together, others count this place of g.
func (o *outbox) prepareToWait(g *Group) {
	from := max(o.prepared, o.first)
	fresh, tail := o.segs[from:], o.tail-from
	if len(fresh) == 0 {
		return
	}
	o.segs = o.segs[:from] // what is put back is never ahead of what is taken
	if tail > 0 {
		o.tail = 0
	}
	for i, s := range fresh {
		switch {
		case s.shared == nil:
			o.segs = append(o.segs, s)
			if tail == i+1 {
				o.tail = len(o.segs)
			}
		case len(s.b) <= copyMax:
			o.copy(s.b)
		default:
			s.shared.enter(g)
			o.referred += s.shared.Cost()
			o.segs = append(o.segs, s)
		}
	}
	clear(fresh[len(o.segs)-from:])
	o.prepared = len(o.segs)
}

// load is what o holds.
func (o *outbox) load() load {
	cost := outboxSize + cap(o.segs)*segmentSize + o.chunks
	if o.sealed.chunk != nil {
		cost += cap(o.sealed.chunk.b)
	}
	return load{bytes: o.size, cost: cost, referred: o.referred}
}

const outboxSize = int(unsafe.Sizeof(outbox{}))

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
		o.segs, o.first, o.prepared, o.tail = o.segs[:0], 0, 0, 0
	}
}

func (o *outbox) drop(i int) {
	s := &o.segs[i]
	if s.chunk != nil {
		o.chunks -= cap(s.chunk.b)
		s.release()
	}
	if s.shared != nil && i < o.prepared {
		o.referred -= s.shared.Cost()
		s.shared.leave()
	}
	*s = segment{}
}

// reset drops everything.
func (o *outbox) reset() {
	for i := o.first; i < len(o.segs); i++ {
		o.drop(i)
	}
	if o.sealed.chunk != nil {
		o.releaseSealed()
	}
	Poison(o.cork)
	o.segs, o.first, o.prepared, o.tail = o.segs[:0], 0, 0, 0
	o.size, o.chunks, o.referred, o.tallied = 0, 0, 0, load{}
	o.mark, o.cork = 0, o.cork[:0]
	o.sent, o.looked, o.borrowed = 0, false, false
	if cap(o.segs) > keptSegments {
		o.segs = nil
	}
}

// borrow adds b to the end of the queue until unborrow is called, before which the
// caller lets nobody else see the queue.
func (o *outbox) borrow(b []byte) {
	if o.borrowed = len(b) > 0; o.borrowed {
		o.size += len(b)
		o.push(segment{b: b})
	}
}

// unborrow takes what is left of the bytes given to borrow out of the queue.
func (o *outbox) unborrow() (rest []byte) {
	lent := o.borrowed
	o.borrowed = false
	if !lent || o.first == len(o.segs) {
		return nil
	}
	last := len(o.segs) - 1
	rest = o.segs[last].b
	o.size -= len(rest)
	o.segs[last] = segment{}
	o.segs, o.prepared = o.segs[:last], min(o.prepared, last)
	return rest
}

// send makes one system call of the oldest bytes.
func (o *outbox) send(fd int, g *gather) (int, error) {
	g.bufs = g.bufs[:0]
	room := maxSend
	for _, s := range o.segs[o.first:] {
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
