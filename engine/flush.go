package engine

import "time"

// flushState is what a flush works with. Owned by the loop.
type flushState struct {
	parts   []*part // whose inflight is delivered
	part    int     // index of the one that is delivered now
	next    int     // index in its subs of the subscriber that comes next
	upTo    uint64  // number of the last message published before the flush began
	several bool    // subscribers may have to get messages of several parts, or OnGap called
	slowed  []*member
	batches [variants]batch     // what is in flight in the part that is delivered
	others  [variants]selection // what subscribers get that get something else
	list    []unsent            // scratch
	msgs    []*message          // scratch
}

// flushSlice is for how long a flush keeps its loop from other work. After that it
// goes on in the next iteration.
const flushSlice = 500 * time.Microsecond

// doFlush delivers what is due, or goes on with that. On the loop, outside any
// event.
func (f *fan) doFlush() {
	if !f.flushing {
		f.beginFlush()
	}
	for !f.deliverSlice() {
		if err := f.loop.Do(f.flush); err == nil {
			return // the loop has other work now
		}
	}
	f.prune(f.endFlush())
}

// beginFlush takes what is due into flight.
func (f *fan) beginFlush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts, f.due = f.due, f.parts[:0]
	f.part, f.next = 0, 0
	f.upTo = f.number
	f.several = len(f.loaded) > 1
	for _, p := range f.parts {
		p.inflight, p.pending = p.pending, nil
		p.weight = 0
		p.gap, p.refusing = p.refusing, false
		f.several = f.several || p.gap
	}
	f.flushing = true
}

// endFlush does what had to wait for the end of the flush. It returns the parts
// that have lost their last subscriber meanwhile.
func (f *fan) endFlush() (left []*part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushing = false
	for i, p := range f.parts {
		if len(p.inflight) > 0 && len(p.pending) == 0 { // without any it was due for a gap only
			f.unload(p)
		}
		f.recycle(p.inflight)
		p.inflight, p.gap = nil, false
		f.parts[i] = nil
	}
	f.parts = f.parts[:0]
	for v := range f.others {
		f.others[v].reset()
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
		_ = f.loop.Do(f.flush) // ended: its connections are closed
	}
	return left
}

const (
	// keptMessages is the room for messages that is kept for the next flush.
	keptMessages = 64
	// keptSpares is how many such rooms are kept.
	keptSpares = 64
)

func (f *fan) recycle(msgs []message) {
	f.discount(msgs)
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

// lookAtMost is how many bytes are written, about, between two looks at the clock.
const lookAtMost = 512 << 10

// deliverSlice writes what is in flight to the subscribers that come next, until
// all have it or the slice is over. It says whether all have it.
func (f *fan) deliverSlice() (done bool) {
	defer f.markSlowed()
	var until time.Duration
	for since := 0; f.part < len(f.parts); f.part, f.next = f.part+1, 0 {
		p := f.parts[f.part]
		step := f.step(p)
		for f.next < len(p.subs) {
			if since >= step {
				now := f.clock()
				if until == 0 {
					until = now + flushSlice
				}
				if now >= until {
					return false
				}
				since = 0
			}
			n := min(step, len(p.subs)-f.next)
			f.deliver(p.subs[f.next : f.next+n])
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
		size += p.inflight[i].size()
	}
	return min(max(lookAtMost/size, 1), f.stride)
}

// deliver writes what is in flight to subs, of one part.
func (f *fan) deliver(subs []*subscription) {
	for _, s := range subs {
		_ = s.member.ws.state.Load()
	}
	sent := 0
	for _, s := range subs {
		if f.several {
			sent += f.deliverSeveral(s)
		} else {
			sent += f.deliverOne(s)
		}
	}
	f.loop.CountOut(sent)
}

// deliverOne writes to s what is in flight in its part, which is all that its
// connection is to get. It returns the number of messages.
func (f *fan) deliverOne(s *subscription) (sent int) {
	p, m := s.part, s.member
	c, b := &m.ws.conn, f.batch(p, m.ws.agreed.variant)
	c.Lock()
	defer c.Unlock()
	if !f.readyLocked(m) {
		return 0
	}
	had := max(m.seq, s.since)
	if had < p.inflight[0].number {
		return f.sendLocked(m, b, len(p.inflight))
	}
	f.msgs = pointers(f.msgs, after(p.inflight, had))
	return f.sendMessagesLocked(m)
}

// deliverSeveral writes to the connection of s what it is to get of all parts. The
// flush comes to a member once for each of its topics that has messages; only the
// first time there is something to write.
func (f *fan) deliverSeveral(s *subscription) (sent int) {
	m := s.member
	f.noticeGap(s)
	if f.served(m) {
		return 0
	}
	f.mu.Lock()
	list := f.collect(f.list[:0], m, 0, f.upTo) // from 0: without the connection's lock m.seq is unknown
	f.mu.Unlock()
	v := m.ws.agreed.variant
	for _, u := range list {
		u.msg.frames.in(v, f.hub.compressor) // not under the lock
	}
	m.ws.conn.Lock()
	if f.readyLocked(m) {
		for _, u := range list {
			if u.msg.number > m.seq {
				f.msgs = append(f.msgs, u.msg)
			}
		}
		sent = f.sendMessagesLocked(m)
	}
	m.ws.conn.Unlock()
	f.keepList(list)
	return sent
}

// served says whether m has everything that the flush delivers.
func (f *fan) served(m *member) bool {
	m.ws.conn.Lock()
	defer m.ws.conn.Unlock()
	return m.seq >= f.upTo
}

// keepList keeps the room of list for the next one.
func (f *fan) keepList(list []unsent) {
	clear(list)
	f.list = list[:0]
	if cap(list) > keptUnsent {
		f.list = nil
	}
}

// noticeGap makes s one that OnGap is called for before it gets anything else, if
// publishes were refused behind what is in flight.
func (f *fan) noticeGap(s *subscription) {
	if !s.part.gap { // only the flush changes it
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case s.backlog != nil || s.missed() == 0:
	case s.member.ws.callbacks.OnGap == nil:
		s.lost = s.part.refused
	default:
		f.slowed = append(f.slowed, s.member) // markSlow notes what is missing
	}
}

// readyLocked says whether m is to be written to now. One that is not because it
// takes no more becomes slow.
func (f *fan) readyLocked(m *member) bool {
	ws := m.ws
	if m.seq >= f.upTo || !ws.isOpen() {
		return false
	}
	if ws.fragments != 0 || ws.conn.BlockedLocked() {
		f.slowed = append(f.slowed, m)
		return false
	}
	return true
}

// batch returns what is in flight in p as v has it.
func (f *fan) batch(p *part, v variant) *batch {
	b := &f.batches[v]
	if len(b.frames) == 0 {
		msgs := pointers(f.msgs, p.inflight)
		b.fill(msgs, v, f.hub.compressor)
		f.keepMsgs(msgs)
	}
	return b
}

// sendMessagesLocked is sendLocked of f.msgs.
func (f *fan) sendMessagesLocked(m *member) (sent int) {
	msgs, v := f.msgs, m.ws.agreed.variant
	if len(msgs) == 0 {
		m.seq = f.upTo
		return 0
	}
	sent = f.sendLocked(m, f.others[v].of(msgs, v, f.hub.compressor), len(msgs))
	f.keepMsgs(msgs)
	return sent
}

// pointers appends pointers to the messages of from to list.
func pointers(list []*message, from []message) []*message {
	for i := range from {
		list = append(list, &from[i])
	}
	return list
}

// keepMsgs keeps the room of list for the next one.
func (f *fan) keepMsgs(list []*message) {
	clear(list)
	f.msgs = list[:0]
	if cap(list) > keptUnsent {
		f.msgs = nil
	}
}

// sendLocked writes b, of n messages, to m, straight to the socket. It returns
// the number of messages that were taken.
func (f *fan) sendLocked(m *member, b *batch, n int) (sent int) {
	ws := m.ws
	c := &ws.conn
	if b.compressed {
		ws.forgetSentLocked()
	}
	m.seq = f.upTo
	var err error
	if len(b.frames) == 1 {
		err = c.WriteSharedLocked(b.frames[0], true)
	} else if err = c.QueueSharedLocked(b.frames); err == nil {
		c.FlushLocked()
	}
	if err != nil { // closed meanwhile: nobody gets it
		return 0
	}
	if c.BlockedLocked() {
		f.slowed = append(f.slowed, m)
	}
	return n
}
