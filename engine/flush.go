package engine

import (
	"slices"

	"github.com/fanloop-go/fanloop/loop"
)

// doFlush delivers what is due. On the loop, outside any event.
func (f *fan) doFlush() {
	f.mu.Lock()
	f.posted = false
	f.parts, f.dirty = f.dirty, f.parts[:0]
	for _, p := range f.parts {
		p.inflight, p.pending = p.pending, nil
		p.bytes, p.upTo = 0, p.seq
		p.gap, p.untold = p.untold, false
	}
	f.flushing = true
	f.mu.Unlock()

	together := len(f.parts) > 1
	for _, p := range f.parts {
		f.deliver(p, together)
	}
	f.flushTouched()

	f.prune(f.settleFlush())
}

// settleFlush does what had to wait for the end of a flush. It returns the
// parts that have lost their last subscriber meanwhile.
func (f *fan) settleFlush() (left []*part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushing = false
	for i, m := range f.slowed { // while those in flight are known
		f.markSlow(m)
		f.slowed[i] = nil
	}
	f.slowed = f.slowed[:0]
	for i, p := range f.parts {
		f.tellRefused(p)
		f.recycle(p.inflight)
		p.inflight = nil
		f.parts[i] = nil
	}
	f.parts = f.parts[:0]
	for i, c := range f.changes {
		f.apply(c)
		if p := c.s.part; p.count == 0 && len(p.subs) == 0 {
			left = append(left, p)
		}
		f.changes[i] = change{}
	}
	f.changes = f.changes[:0]
	f.busy.Store(len(f.dirty) > 0 || f.delayed > 0)
	return left
}

const (
	// keptMessages is the room for messages that is kept for the next flush.
	keptMessages = 64
	// keptSpares is how many such rooms are kept.
	keptSpares = 64
)

func (f *fan) recycle(msgs []message) {
	clear(msgs)
	if cap(msgs) <= keptMessages && len(f.spare) < keptSpares {
		f.spare = append(f.spare, msgs[:0])
	}
}

// prune forgets parts without subscribers. On the loop, without locks.
func (f *fan) prune(left []*part) {
	for _, p := range left {
		sh := f.hub.shard(p.topic.name)
		sh.mu.Lock()
		f.mu.Lock()
		sh.prune(p)
		f.mu.Unlock()
		sh.mu.Unlock()
	}
}

// batch is what is in flight as one variant has it, small frames put together.
type batch struct {
	frames     []*loop.Shared
	compressed bool // some of them are
}

// deliver writes what is in flight to the subscribers of p, straight to the
// sockets, or, if together, to the queues of those who may get more from other
// parts.
func (f *fan) deliver(p *part, together bool) {
	sent := 0
	for subs := range slices.Chunk(p.subs, lookAhead) {
		for _, s := range subs {
			ws := s.member.ws
			_ = ws.state.Load()
		}
		for _, s := range subs {
			ws := s.member.ws
			b := &f.batches[ws.agreed.variant]
			if len(b.frames) == 0 {
				b.fill(p.inflight, ws.agreed.variant, f.hub.compressor)
			}
			ws.conn.Lock()
			n, blocked := f.deliverLocked(s, b, together)
			ws.conn.Unlock()
			sent += n
			if blocked {
				f.slowed = append(f.slowed, s.member)
			}
		}
	}
	for i := range f.batches {
		b := &f.batches[i]
		clear(b.frames)
		b.frames, b.compressed = b.frames[:0], false
	}
	f.loop.CountOut(sent)
}

// lookAhead is how many subscribers are looked at before they are written to.
// The kernel's way of a send drives them out of the CPU's caches; looked at
// together, they come back at the same time instead of one after the other.
const lookAhead = 16

// deliverLocked writes or queues what s has not got of what is in flight, which
// is b in its variant. It returns how many messages that were, and whether the
// connection takes no more for now. Under the connection's lock.
func (f *fan) deliverLocked(s *subscription, b *batch, together bool) (sent int, blocked bool) {
	p, ws := s.part, s.member.ws
	c := &ws.conn
	if s.seq >= p.upTo || !ws.isOpen() {
		return 0, false
	}
	if ws.fragments != 0 || c.BlockedLocked() {
		return 0, true // and markSlow takes care of them
	}
	sent = int(p.upTo - s.seq)
	frames, queue := b.frames, together || len(b.frames) > 1
	if sent < len(p.inflight) {
		f.missing = f.missing[:0]
		for _, msg := range p.inflight[len(p.inflight)-sent:] {
			f.missing = append(f.missing, msg.frames.in(ws.agreed.variant, f.hub.compressor))
		}
		frames, queue = f.missing, true
	}
	if b.compressed {
		ws.forgetSentLocked()
	}
	s.seq = p.upTo
	var err error
	if queue {
		err = c.QueueSharedLocked(frames)
		f.touched = append(f.touched, ws)
		clear(f.missing)
	} else {
		err = c.WriteSharedLocked(frames[0], true)
	}
	if err != nil { // closed meanwhile: nobody to tell
		return 0, false
	}
	return sent, c.BlockedLocked()
}

// flushTouched sends what deliver queued.
func (f *fan) flushTouched() {
	for i, ws := range f.touched {
		ws.conn.Lock()
		ws.conn.FlushLocked()
		blocked := ws.conn.BlockedLocked()
		ws.conn.Unlock()
		if blocked {
			f.slowed = append(f.slowed, ws.member.Load())
		}
		f.touched[i] = nil
	}
	f.touched = f.touched[:0]
}

const (
	// coalesceMax is the largest frame that is copied to be sent with others.
	coalesceMax = 8 << 10
	// coalesceTo is the size up to which frames are put together.
	coalesceTo = 64 << 10
)

// fill puts msgs into b as v has them, small neighbours put together.
func (b *batch) fill(msgs []message, v variant, c *compressor) {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < len(msgs) {
			frame := msgs[n].frames.in(v, c)
			if frame.Len() > coalesceMax || size+frame.Len() > coalesceTo {
				break
			}
			size += frame.Len()
			n++
		}
		n = max(n, 1)
		b.add(msgs[:n], size, v, c)
		msgs = msgs[n:]
	}
}

// add adds msgs as one: one alone as it is, more of them copied, size bytes.
func (b *batch) add(msgs []message, size int, v variant, c *compressor) {
	one := msgs[0].frames.in(v, c)
	if len(msgs) > 1 {
		together := make([]byte, 0, size)
		for _, msg := range msgs {
			together = msg.frames.in(v, c).AppendTo(together)
		}
		one = loop.NewShared(together)
	}
	b.frames = append(b.frames, one)
	for _, msg := range msgs {
		b.compressed = b.compressed || msg.frames.in(v, c) != &msg.frames.plain
	}
}
