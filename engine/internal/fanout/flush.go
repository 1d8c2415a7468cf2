package fanout

import (
	"cmp"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// flushState is what a flush works with. Owned by the loop.
type flushState struct {
	parts   []*part // whose inflight is delivered
	part    int     // index of the one that is delivered now
	next    int     // index in its subs of the next subscriber
	upTo    uint64  // number of the last message published before the flush began
	several bool    // subscribers may have to get messages of several parts, or OnGap called
	gapped  bool    // some of what was published before the flush began may be behind a gap
	slowed  []*Member
	batches [frames.Variants]batch     // what is in flight in the part that is delivered
	others  [frames.Variants]selection // what subscribers get that get something else
	list    []unsent                   // scratch
	msgs    []*Message                 // scratch
	perSend time.Duration              // what a send costs, about
}

// Pace says how long a flush keeps its loop from other work. The rest follows in the next
// iteration.
type Pace struct {
	Slice  time.Duration // after it, a flush continues in the next iteration; default 500 µs
	Stride int           // the most subscribers between two looks at the clock; default 16
}

// What a send costs, before it is measured and at the ends of what is believed.
const (
	firstSend = 10 * time.Microsecond
	leastSend = time.Microsecond
	mostSend  = 100 * time.Microsecond
)

func (p Pace) withDefaults() Pace {
	return Pace{cmp.Or(p.Slice, 500*time.Microsecond), cmp.Or(p.Stride, lookAhead)}
}

// doFlush begins a flush of what is due, or continues the one under way. On the
// loop, outside any event.
func (f *fan) doFlush() {
	if !f.flushing {
		f.beginFlush()
	}
	for !f.deliverSlice() {
		if f.loop.Do(f.flush) == nil {
			return // other work comes first
		}
		// The loop has ended: there is no next iteration.
	}
	for _, p := range f.endFlush() {
		f.prune(p)
	}
}

// beginFlush takes what is due into flight.
func (f *fan) beginFlush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts, f.due = f.due, f.parts[:0]
	f.part, f.next = 0, 0
	f.upTo = f.number
	f.several, f.gapped = len(f.loaded) > 1, f.gaps > 0
	if f.budget != nil {
		f.budget.advance(f.loop.Now())
	}
	for _, p := range f.parts {
		f.depart(p)
		p.inflight, p.pending = p.pending, nil
		p.weight = 0
		if p.nextGap > 0 {
			f.gaps--
			f.several = true
		}
		p.gap, p.nextGap, p.refusing = p.nextGap, 0, false
		p.ofGap = len(p.refusals)
	}
	f.flushing = true
}

// endFlush does what had to wait for the end of the flush. It returns the parts
// that have lost their last subscriber meanwhile.
func (f *fan) endFlush() (left []*part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushing = false
	for _, p := range f.parts {
		f.arrive(p)
	}
	if f.budget != nil {
		f.budget.advance(f.loop.Now())
		f.settle(f.parts)
	}
	for i, p := range f.parts {
		if len(p.inflight) > 0 && len(p.pending) == 0 { // without any it was due for a gap only
			f.unload(p)
		}
		f.recycle(p.inflight)
		p.inflight, p.gap = nil, 0
		p.refusals, p.ofGap = slices.Delete(p.refusals, 0, p.ofGap), 0
		f.parts[i] = nil
	}
	f.parts = f.parts[:0]
	for v := range f.others {
		if x := &f.others[v]; len(x.msgs) > 0 {
			x.reset()
		}
	}
	for i, c := range f.changes {
		f.apply(c)
		if p := c.s.part; p.count == 0 && len(p.subs) == 0 {
			left = append(left, p)
		}
		f.changes[i] = change{}
	}
	f.changes = f.changes[:0]
	f.busy.Store(len(f.loaded) > 0)
	f.posted = len(f.due) > 0
	if f.posted {
		_ = f.loop.Do(f.flush) // an error: the loop has ended, with its connections
	}
	return left
}

const (
	// keptMessages is the room for messages that is kept for the next flush.
	keptMessages = 64
	// keptSpares is how many such rooms are kept.
	keptSpares = 64
)

func (f *fan) recycle(msgs []Message) {
	f.discount(msgs)
	clear(msgs)
	if cap(msgs) <= keptMessages && len(f.spare) < keptSpares {
		f.spare = append(f.spare, msgs[:0])
	}
}

// prune removes p if it has no subscribers. On the loop, without locks.
func (f *fan) prune(p *part) {
	sh := f.hub.shard(p.topic.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	sh.prune(p)
}

// markSlowed makes those members slow whose connections turned out to take no
// more, or for whom OnGap is to be called.
func (f *fan) markSlowed() {
	if len(f.slowed) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, m := range f.slowed {
		f.markSlow(m)
		f.slowed[i] = nil
	}
	f.slowed = f.slowed[:0]
}

// lookAhead is how many subscribers are looked at before they are written to.
// Between two sends the kernel drives them out of the CPU's caches; looked at
// together, they come back at the same time instead of one after the other.
const lookAhead = 16

// bytesPerLook is how many bytes are written, about, between two looks at the clock.
const bytesPerLook = 512 << 10

// deliverSlice writes what is in flight to the next subscribers, until all have it
// or the slice is over. It reports whether all have it.
func (f *fan) deliverSlice() (done bool) {
	defer f.markSlowed()
	var until, looked time.Duration
	sends := 0 // since looked
	for since := 0; f.part < len(f.parts); f.part, f.next = f.part+1, 0 {
		p := f.parts[f.part]
		step := f.step(p)
		for f.next < len(p.subs) {
			if since >= step {
				now := f.loop.Clock()
				if until == 0 {
					until = now + f.pace.Slice
				} else {
					f.learn(now-looked, sends)
				}
				looked, sends = now, 0
				if now >= until {
					return false
				}
				since = 0
			}
			n := min(step, len(p.subs)-f.next)
			sent := f.deliver(p.subs[f.next : f.next+n])
			p.sends, sends = p.sends+sent, sends+sent
			f.next += n
			since += n
		}
		for v := range f.batches {
			f.batches[v].reset()
		}
	}
	return true
}

// step is how many subscribers of p are written to between two looks at the clock.
func (f *fan) step(p *part) int {
	size := 1
	for i := range p.inflight {
		size += p.inflight[i].Frames.Size()
	}
	return min(max(bytesPerLook/size, 1), f.pace.Stride)
}

// learn notes that so many sends took d.
func (f *fan) learn(d time.Duration, sends int) {
	if sends > 0 && f.budget != nil && f.budget.batching.SendCost == 0 {
		each := min(max(d/time.Duration(sends), leastSend), mostSend)
		f.perSend += (each - f.perSend) / 16
	}
}
