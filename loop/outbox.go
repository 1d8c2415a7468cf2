package loop

import (
	"sync"
	"time"
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
	sealed   segment       // ciphertext of an encrypted connection: goes first
	size     int           // bytes queued
	tallied  int           // of them, those that the loop counts
	mark     int           // size at which OnDrain is due, if it is armed
	sent     int           // bytes given to the socket since something waits
	taken    int           // of them, those that the peer had at progress
	progress time.Duration // when Stalled last saw the peer get on
	looked   bool          // the two above are known
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
	o.segs[i].release()
	o.segs[i] = segment{}
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
	o.segs, o.first, o.size, o.tallied, o.mark, o.cork = o.segs[:0], 0, 0, 0, 0, o.cork[:0]
	o.sent, o.looked = 0, false
	if cap(o.segs) > maxBuffers {
		o.segs = nil
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
