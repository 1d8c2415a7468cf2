package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// fan delivers what is published to the subscribers that one loop owns.
//
// A publish is appended to its part, once, and the loop is told. At the end of
// the loop's iteration flush gives every subscriber all that came since, in one
// write. Each subscription knows the number of the last message its connection
// has got, so whoever needs a connection to be up to date earlier (a direct
// send after a publish, an unsubscribe) can see to that by itself: catchUp.
//
// Locks are taken in the order shard, fan, connection. None is held while
// others' connections are written to, but a connection's own.
type fan struct {
	// Immutable.
	hub   *hub
	loop  *loop.Loop
	slow  Slow   // the server's
	flush func() // doFlush as a value: a post allocates nothing

	// busy says that some part has messages its subscribers may not have yet.
	busy atomic.Bool

	// Guarded by mu.
	mu       sync.Mutex
	dirty    []*part // with pending messages that are due
	flushing bool    // subs of all parts stand still
	changes  []change
	posted   bool
	delayed  int // parts with pending messages that are not due

	// Owned by the loop.
	parts   []*part // being flushed
	slowed  []*member
	touched []*WebSocket
	batch   []*loop.Shared
}

// part is the subscribers of one topic that one fan has. Guarded by the fan's
// lock, but for what is said.
type part struct {
	// Immutable.
	fan   *fan
	topic *topic

	rules *topicRules     // nil: the server's
	subs  []*subscription // read by the loop without lock while flushing
	count int             // of subscribers, with changes that wait
	seq   uint64          // number of the last message published
	slow  []*subscription // those that are slow: they get each message by itself

	pending  []message // the last ones, up to seq
	inflight []message // being flushed, before pending
	bytes    int       // of pending
	upTo     uint64    // number of the last one in flight; owned by the loop
}

// message is one publish as a part keeps it.
type message struct {
	frame *loop.Shared
	key   string
	keyed bool
}

// member is a connection that subscribes, or did. Guarded by the fan's lock.
type member struct {
	// Immutable.
	ws  *WebSocket
	fan *fan

	subs  []*subscription
	index map[string]*subscription // once there are many
	gone  bool
}

// subscription is one connection in one topic.
type subscription struct {
	// Immutable.
	member *member
	part   *part

	// Guarded by the connection's lock.
	seq uint64 // the last message that was written or decided on

	// Guarded by the fan's lock.
	at      int32    // in part.subs
	slowAt  int32    // in part.slow, plus one; 0: not slow
	retired bool     // its connection is closing: not counted any more
	backlog *backlog // of a slow one
}

// change is a subscriber that joins or leaves while subs stand still.
type change struct {
	s     *subscription
	leave bool
}

func newFan(h *hub, l *loop.Loop, slow Slow) *fan {
	f := &fan{hub: h, loop: l, slow: slow}
	f.flush = f.doFlush
	return f
}

// indexFrom is the number of topics from which a member keeps an index.
const indexFrom = 16

func (m *member) find(topic string) *subscription {
	if m.index != nil {
		return m.index[topic]
	}
	for _, s := range m.subs {
		if s.part.topic.name == topic {
			return s
		}
	}
	return nil
}

// join adds a subscription. Under the fan's lock, as all that follows.
func (f *fan) join(m *member, p *part) {
	s := &subscription{member: m, part: p, seq: p.seq}
	m.subs = append(m.subs, s)
	switch {
	case m.index != nil:
		m.index[p.topic.name] = s
	case len(m.subs) == indexFrom:
		m.index = make(map[string]*subscription, 2*indexFrom)
		for _, s := range m.subs {
			m.index[s.part.topic.name] = s
		}
	}
	p.count++
	f.apply(change{s: s})
}

// leave ends a subscription.
func (f *fan) leave(s *subscription) {
	m := s.member
	for i, t := range m.subs {
		if t == s {
			last := len(m.subs) - 1
			m.subs[i], m.subs[last] = m.subs[last], nil
			m.subs = m.subs[:last]
			break
		}
	}
	delete(m.index, s.part.topic.name)
	f.unslow(s)
	if !s.retired {
		s.part.count--
	}
	f.apply(change{s: s, leave: true})
}

// apply changes subs, now or when they no longer stand still.
func (f *fan) apply(c change) {
	if f.flushing {
		f.changes = append(f.changes, c)
		return
	}
	p := c.s.part
	if !c.leave {
		c.s.at = int32(len(p.subs))
		p.subs = append(p.subs, c.s)
		return
	}
	last := len(p.subs) - 1
	moved := p.subs[last]
	p.subs[c.s.at], moved.at = moved, c.s.at
	p.subs[last] = nil
	p.subs = p.subs[:last]
}

// publish appends msg to p and tells the loop.
func (f *fan) publish(p *part, msg message, from *WebSocket, d *Delivery) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.count == 0 {
		return nil
	}
	queued := p.count
	var sender *subscription
	if from != nil {
		if m := from.member.Load(); m != nil && m.fan == f {
			sender = m.find(p.topic.name)
		}
	}
	if sender != nil && !sender.retired {
		queued--
	}
	size := msg.frame.Len()
	if limit := p.slowRules().Limit; limit > 0 && p.bytes > 0 && p.bytes+size > limit {
		d.Dropped += queued
		f.hub.dropped.Add(uint64(queued))
		return ErrBackpressure
	}
	// Those that get it by themselves, or not at all, have to be up to date.
	if sender != nil {
		f.catchUp(sender)
	}
	for _, s := range p.slow {
		f.catchUp(s)
	}
	p.seq++
	if sender != nil {
		sender.settle(p.seq)
	}
	for i := len(p.slow) - 1; i >= 0; i-- { // deciding may take one out
		switch s := p.slow[i]; {
		case s == sender:
		case s.retired:
			s.settle(p.seq)
		default:
			queued--
			f.decide(s, msg, d)
		}
	}
	d.Queued += queued
	p.pending = append(p.pending, msg)
	p.bytes += size
	f.busy.Store(true)
	if len(p.pending) == 1 {
		f.due(p)
	}
	return nil
}

// due makes the loop flush p, at once or after the delay of its topic.
func (f *fan) due(p *part) {
	if d := p.flushEvery(); d > 0 {
		f.delayed++
		time.AfterFunc(d, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.delayed--
			f.enqueue(p)
		})
		return
	}
	f.enqueue(p)
}

func (f *fan) enqueue(p *part) {
	f.dirty = append(f.dirty, p)
	if !f.posted {
		f.posted = true
		_ = f.loop.Do(f.flush) // ended: its connections are closed
	}
}

// settle notes that s needs no message up to seq.
func (s *subscription) settle(seq uint64) {
	c := &s.member.ws.conn
	c.Lock()
	s.seq = seq
	c.Unlock()
}

// catchUp writes to s what is published and not written yet. Under the fan's
// lock.
func (f *fan) catchUp(s *subscription) {
	p, c := s.part, &s.member.ws.conn
	if len(p.pending)+len(p.inflight) == 0 {
		return
	}
	c.Lock()
	defer c.Unlock()
	first := p.seq - uint64(len(p.pending)+len(p.inflight)) + 1
	for i, msg := range p.inflight {
		s.writeLocked(msg, first+uint64(i))
	}
	first += uint64(len(p.inflight))
	for i, msg := range p.pending {
		s.writeLocked(msg, first+uint64(i))
	}
}

// writeLocked writes message number seq unless s has it. Under the
// connection's lock.
func (s *subscription) writeLocked(msg message, seq uint64) {
	if s.seq >= seq {
		return
	}
	s.seq = seq
	if ws := s.member.ws; ws.state.Load() == stateOpen {
		_ = ws.conn.WriteSharedLocked(msg.frame, true) // closed meanwhile: nobody to tell
	}
}

// catchUpAll is catchUp for every topic of a connection.
func (m *member) catchUpAll() {
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	for _, s := range m.subs {
		m.fan.catchUp(s)
	}
}

// doFlush delivers what is due. On the loop, outside any event.
func (f *fan) doFlush() {
	f.mu.Lock()
	f.posted = false
	f.parts, f.dirty = f.dirty, f.parts[:0]
	for _, p := range f.parts {
		p.inflight, p.pending = p.pending, p.inflight[:0]
		p.bytes, p.upTo = 0, p.seq
	}
	f.flushing = true
	f.mu.Unlock()

	together := len(f.parts) > 1
	for _, p := range f.parts {
		f.deliver(p, together)
	}
	f.flushTouched()

	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushing = false
	for i, p := range f.parts {
		clear(p.inflight)
		if p.inflight = p.inflight[:0]; cap(p.inflight) > keptMessages {
			p.inflight = nil
		}
		f.parts[i] = nil
	}
	f.parts = f.parts[:0]
	for i, c := range f.changes {
		f.apply(c)
		f.changes[i] = change{}
	}
	f.changes = f.changes[:0]
	for i, m := range f.slowed {
		f.markSlow(m)
		f.slowed[i] = nil
	}
	f.slowed = f.slowed[:0]
	f.busy.Store(len(f.dirty) > 0 || f.delayed > 0)
}

// keptMessages is the room a part keeps for messages between flushes.
const keptMessages = 64

// deliver writes what is in flight to the subscribers of p, straight to the
// sockets, or, if together, to the queues of those who may get more from other
// parts.
func (f *fan) deliver(p *part, together bool) {
	f.batch = coalesce(f.batch[:0], p.inflight)
	last := p.upTo
	first := last - uint64(len(p.inflight)) + 1
	sent := 0
	for _, s := range p.subs {
		ws := s.member.ws
		c := &ws.conn
		c.Lock()
		if s.seq >= last || ws.state.Load() != stateOpen {
			c.Unlock()
			continue
		}
		switch {
		case s.seq+1 != first:
			for i, msg := range p.inflight {
				s.writeLocked(msg, first+uint64(i))
			}
		case together || len(f.batch) > 1:
			if c.QueueSharedLocked(f.batch) == nil {
				f.touched = append(f.touched, ws)
			}
		default:
			_ = c.WriteSharedLocked(f.batch[0], true) // closed meanwhile: nobody to tell
		}
		s.seq = last
		sent += len(p.inflight)
		blocked := c.BlockedLocked()
		c.Unlock()
		if blocked {
			f.slowed = append(f.slowed, s.member)
		}
	}
	clear(f.batch)
	f.loop.CountOut(sent)
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

// coalesce appends the frames of msgs to dst, small neighbours put together.
func coalesce(dst []*loop.Shared, msgs []message) []*loop.Shared {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < len(msgs) && msgs[n].frame.Len() <= coalesceMax && size+msgs[n].frame.Len() <= coalesceTo {
			size += msgs[n].frame.Len()
			n++
		}
		if n <= 1 {
			dst, msgs = append(dst, msgs[0].frame), msgs[1:]
			continue
		}
		b := make([]byte, 0, size)
		for _, msg := range msgs[:n] {
			b = msg.frame.AppendTo(b)
		}
		dst, msgs = append(dst, loop.NewShared(b)), msgs[n:]
	}
	return dst
}
