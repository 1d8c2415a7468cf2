package fanout

import (
	"math"
	"time"
)

// Policy says what happens to a message for a subscriber whose queue is full. See
// engine.SlowPolicy.
type Policy uint8

const (
	Close Policy = iota
	DropNewest
	DropOldest
	Conflate
	Unsubscribe
)

// Slow is engine.Slow with its defaults. Immutable.
type Slow struct {
	Policy  Policy
	Limit   int
	Timeout time.Duration
}

// keeps reports whether what waits may be dropped or replaced later.
func (s *Slow) keeps() bool { return s.Policy == DropOldest || s.Policy == Conflate }

// decide does with msg, the last message published, what the policy of a slow
// subscriber says. Under the fan's lock.
func (f *fan) decide(s *subscription, msg Message, d *Delivery) {
	m, b := s.member, s.backlog()
	w := m.waiting()
	m.conn.Lock()
	rules := s.rulesLocked()
	room, waits := s.roomLocked(rules), rules.keeps() || !w.nothing() || m.out.Fragments != 0
	need := msg.Frames.Size()
	if waits {
		need = msg.weight()
	}
	m.seq = msg.number
	var end bool
	switch {
	case b.over:
		w.miss(b, 1, nil)
		d.Dropped++
		f.hub.dropped.Add(1)
	case rules.Policy == Conflate && w.replace(b, msg, room):
		d.Conflated++
		f.hub.conflated.Add(1)
	case need <= room && waits:
		w.push(b, msg)
		d.Queued++
	case need <= room:
		m.writeLocked(msg) // if it is closing, it counts as Queued all the same
		d.Queued++
	case rules.Policy == DropOldest && b.load.weight+room >= need && w.reporting == 0:
		f.hub.dropped.Add(w.displace(b, msg, need-room))
		d.Dropped++
	case rules.Policy == Close && !f.loop.Over(): // otherwise relief chooses who is closed
		d.Closed++
		end = true
	default:
		b.over = rules.Policy == Unsubscribe
		w.miss(b, 1, msg.Tag)
		d.Dropped++
		f.hub.dropped.Add(1)
	}
	m.conn.Unlock()
	if end {
		f.closeMember(m)
		m.discard()
		f.hub.conns.Shed(m.conn)
	}
}

// rulesLocked returns the policy for s. Under the locks of the fan and the
// connection.
func (s *subscription) rulesLocked() *Slow {
	var topic *Slow
	if rules := s.part.rules; rules != nil {
		topic = rules.Slow
	}
	return s.part.fan.hub.conns.SlowLocked(s.member.conn, topic)
}

// roomLocked returns how many bytes more may wait for s: none while the memory of
// the loop is spent. Under the locks of the fan and the connection.
func (s *subscription) roomLocked(rules *Slow) int {
	c := s.member.conn
	room := math.MaxInt / 2
	if rules.Limit > 0 {
		room = rules.Limit - c.QueuedLocked() - s.member.waiting().weight
	}
	if s.part.fan.loop.Over() {
		room = min(room, 0)
	}
	if rules.Timeout > 0 && c.StalledLocked() >= rules.Timeout {
		room = min(room, 0)
	}
	return room
}

// markSlow makes m slow: until its connection has sent everything, policies
// decide what its subscriptions get. What it has not got yet is queued, or waits
// where it can be replaced. Under the fan's lock.
func (f *fan) markSlow(m *Member) {
	if m.closing() {
		return
	}
	c := m.conn
	c.Lock()
	defer c.Unlock()
	if m.waiting() != nil {
		return
	}
	list := f.collect(f.unsent[:0], m, m.seq, f.number)
	f.markSlowLocked(m, list)
	f.keepUnsent(list)
}

// markSlowLocked is markSlow of a member that is not slow, and still has to get
// list. Under the connection's lock too.
func (f *fan) markSlowLocked(m *Member, list []unsent) {
	w := &waiting{m: m}
	m.rarely().slow.Store(w)
	for s := range m.subs {
		s.addBacklog(w)
	}
	for _, u := range list {
		b := u.s.backlog()
		if b.over && u.msg.number > b.through {
			w.miss(b, 1, nil)
			m.fan().hub.dropped.Add(1)
			continue
		}
		if m.out.Fragments == 0 && len(w.queue) == 0 && !u.s.rulesLocked().keeps() && !u.behindGap() {
			m.writeLocked(*u.msg)
		} else {
			w.push(b, *u.msg)
		}
	}
	m.seq = f.number
	m.conn.NotifyEmptyLocked()
}

// addBacklog makes s a subscription of a slow member. Under the fan's lock, and that of
// the connection if s may have missed something.
func (s *subscription) addBacklog(w *waiting) {
	p := s.part
	missed := s.missed()
	b := &backlog{s: s, at: int32(len(p.slow))}
	w.backlogs = append(w.backlogs, b) // those of m are added in the order of its list
	w.tally(b)
	if missed > 0 {
		first := s.firstRefusal()
		b.over = s.rulesLocked().Policy == Unsubscribe
		b.through = first.through
		w.miss(b, missed, first.tag)
	}
	s.lost, p.parted = p.refused, true
	p.slow = append(p.slow, s)
}

// removeBacklog undoes addBacklog. What waits in the backlog stays with the member.
// Under the fan's lock.
func (s *subscription) removeBacklog() {
	b := s.backlog()
	if b == nil {
		return
	}
	w := s.member.waiting()
	slow := s.part.slow
	last := len(slow) - 1
	slow[b.at] = slow[last]
	slow[b.at].backlog().at = b.at
	slow[last] = nil
	s.part.slow = slow[:last]
	w.backlogs[s.own] = nil
	w.tally(b)
}

// unmarkSlowLocked undoes markSlow. Under the locks of the fan and the connection.
func (m *Member) unmarkSlowLocked() {
	for s := range m.subs {
		s.removeBacklog()
	}
	m.seq = m.fan().number
	r := m.rare.Load()
	r.slow.Store(nil)
	if r.subs == nil && !r.closing {
		m.rare.Store(r.fan.plain)
	}
}

// closeMember stops counting the subscriptions of m, for which nothing more is
// published. Under the fan's lock.
func (f *fan) closeMember(m *Member) {
	if m.closing() {
		return
	}
	if r := m.rare.Load(); r == f.plain {
		m.rare.Store(f.closed)
	} else {
		r.closing = true
	}
	for s := range m.subs {
		s.part.count--
	}
}
