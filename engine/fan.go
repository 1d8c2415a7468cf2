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
// A connection that takes no more, or has a fragmented message under way, is
// slow: its subscriptions have a backlog, and each message is decided on by
// policy when it is published, until everything is sent.
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
	delayed  int         // parts with pending messages that are not due
	spare    [][]message // empty, for pending

	// Owned by the loop.
	parts   []*part // being flushed
	slowed  []*member
	touched []*WebSocket
	batches [variants]batch // of the part that is delivered
	missing []*loop.Shared  // of one subscriber that has got a part of them
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
	slow  []*subscription // those with a backlog

	pending  []message   // the last ones, up to seq
	inflight []message   // being flushed, before pending
	bytes    int         // of pending
	upTo     uint64      // number of the last one in flight; owned by the loop
	delay    *time.Timer // runs while what is pending is delayed; nil: it is not

	refused uint64 // publishes so far
	untold  bool   // some since the last flush
	gap     bool   // some behind those in flight
}

// message is one publish as a part keeps it.
type message struct {
	frames *frames
	key    string
	keyed  bool
}

// size is what counts for queues and limits before the message is written:
// that of the plain frame, which is in memory whatever a subscriber gets.
func (m *message) size() int { return m.frames.size() }

// member is a connection that subscribes, or did.
type member struct {
	// Immutable.
	ws  *WebSocket
	fan *fan

	// Written under the locks of the fan and the connection, read by anyone.
	slow atomic.Bool  // some subscription has a backlog
	held atomic.Int64 // bytes in backlogs

	// Guarded by the fan's lock.
	subs  []*subscription
	index map[string]*subscription // once there are many
	late  *backlog                 // of topics that were left inside a fragmented message; nil: none
	gone  bool                     // closing: not counted any more
	turn  uint32                   // whose backlog is released first
}

// subscription is one connection in one topic.
type subscription struct {
	// Immutable.
	member *member
	part   *part

	seq     uint64   // the last message that was written or decided on; guarded by the connection's lock
	at      int32    // in part.subs; guarded by the fan's lock
	own     int32    // in member.subs; guarded by the fan's lock
	backlog *backlog // nil: not slow; guarded by the fan's lock
	lost    uint64   // of part.refused, those it knows of or is not to get; guarded by the fan's lock
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
	s := &subscription{member: m, part: p, seq: p.seq, own: int32(len(m.subs)), lost: p.refused}
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
	if m.late != nil { // which goes first
		f.markSlow(m)
	}
	f.apply(change{s: s})
}

// leave ends a subscription.
func (f *fan) leave(s *subscription) {
	m := s.member
	lastOwn := len(m.subs) - 1
	m.subs[s.own], m.subs[lastOwn].own = m.subs[lastOwn], s.own
	m.subs[lastOwn] = nil
	m.subs = m.subs[:lastOwn]
	delete(m.index, s.part.topic.name)
	f.unslow(s)
	s.lost = s.part.refused
	if !m.gone {
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
	sender := f.subscriptionOf(from, p)
	if sender != nil && !sender.member.gone {
		queued--
	}
	size := msg.size()
	if limit := p.slowRules().Limit; limit > 0 && p.bytes > 0 && (p.untold || p.bytes+size > limit) {
		d.Dropped += queued
		f.hub.dropped.Add(uint64(queued))
		p.refuse(sender)
		return ErrBackpressure
	}
	if sender != nil { // or it would get this one along with what is pending
		f.catchUp(sender)
	}
	p.seq++
	if sender != nil {
		sender.settle(p.seq)
	}
	for _, s := range p.slow {
		switch {
		case s == sender:
		case s.member.gone:
			s.settle(p.seq)
		default:
			queued--
			f.decide(s, msg, d)
		}
	}
	d.Queued += queued
	f.append(p, msg)
	return nil
}

// subscriptionOf returns that of ws to p, nil if there is none.
func (f *fan) subscriptionOf(ws *WebSocket, p *part) *subscription {
	if ws == nil {
		return nil
	}
	m := ws.member.Load()
	if m == nil || m.fan != f {
		return nil
	}
	return m.find(p.topic.name)
}

// append makes msg pending.
func (f *fan) append(p *part, msg message) {
	if last := len(f.spare) - 1; p.pending == nil && last >= 0 {
		p.pending, f.spare = f.spare[last], f.spare[:last]
	}
	p.pending = append(p.pending, msg)
	p.bytes += msg.size()
	f.busy.Store(true)
	if len(p.pending) == 1 {
		f.due(p)
	}
}

// due makes the loop flush p, at once or after the delay of its topic.
func (f *fan) due(p *part) {
	d := p.flushEvery()
	if d == 0 {
		f.enqueue(p)
		return
	}
	f.delayed++
	p.delay = time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.delayed--
		p.delay = nil
		f.enqueue(p)
	})
}

// reschedule makes the delay of p, which has changed, count for what waits.
func (f *fan) reschedule(p *part) {
	if p.delay != nil && p.delay.Stop() { // otherwise it is over already
		f.delayed--
		p.delay = nil
		f.due(p)
	}
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

// catchUp writes to s what is published and not written yet. The backlog of a
// slow one is left alone: it is up to date by policy.
func (f *fan) catchUp(s *subscription) {
	p, ws := s.part, s.member.ws
	if s.backlog != nil || len(p.pending)+len(p.inflight) == 0 {
		return
	}
	if p.gap && s.missed() > 0 { // OnGap comes before what is pending
		f.markSlow(s.member)
		return
	}
	ws.conn.Lock()
	whole := ws.fragments == 0
	if whole {
		s.eachMissing(s.member.writeLocked)
	}
	ws.conn.Unlock()
	if !whole { // §5.4: no other message in between
		f.markSlow(s.member)
	}
}

// eachMissing calls fn for every message that s has not got, which from then on
// it has. Under the locks of the fan and the connection.
func (s *subscription) eachMissing(fn func(message)) {
	p := s.part
	seq := p.seq - uint64(len(p.pending)+len(p.inflight))
	for _, msgs := range [2][]message{p.inflight, p.pending} {
		for _, msg := range msgs {
			if seq++; s.seq < seq {
				s.seq = seq
				fn(msg)
			}
		}
	}
}

// writeLocked writes msg unless the connection is closing. Under the
// connection's lock.
func (m *member) writeLocked(msg message) {
	ws := m.ws
	if ws.isOpen() && ws.conn.WriteSharedLocked(ws.frameLocked(msg.frames), true) == nil {
		m.fan.loop.CountOut(1)
	}
}

// catchUpAll brings a connection up to date in every topic, because something is
// about to be sent that was published later. empty is what it does about a
// backlog.
func (m *member) catchUpAll(empty func(*subscription)) {
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	m.releaseLate()
	for _, s := range m.subs {
		if s.backlog != nil {
			empty(s)
			continue
		}
		m.fan.catchUp(s)
	}
}
