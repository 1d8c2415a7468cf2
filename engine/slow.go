package engine

import (
	"math"
	"time"
)

// SlowPolicy says what happens to a message for a subscriber whose queue is
// full.
type SlowPolicy uint8

const (
	// SlowClose closes the connection with 1013.
	SlowClose SlowPolicy = iota
	// SlowDropNewest drops the message.
	SlowDropNewest
	// SlowDropOldest drops the oldest messages of the topic that wait.
	SlowDropOldest
	// SlowConflate keeps, of messages published with a key, the latest of each,
	// at its place in the order; others are treated as by SlowDropNewest.
	SlowConflate
)

// Slow is a policy for subscribers that read more slowly than is published. It
// applies from when a subscriber's connection takes no more, or a fragmented
// message is under way on it, until everything is sent. What was published before
// the loop noticed that, at the end of its iteration, is sent whatever the policy.
//
// A direct send commits what waits for its connection: it keeps its place in the
// order, and cannot be dropped or replaced any more. So do Close, Unsubscribe and
// the close frame of the peer. Where messages are missing, nothing behind the gap
// is committed before OnGap was called: a direct send goes before it, and Close
// has the loop call OnGap first.
type Slow struct {
	Policy SlowPolicy
	// Limit is the most bytes that wait for one subscriber. Default:
	// Limits.MaxQueued of the server; NoLimit turns it off. A message that is queued
	// counts as the subscriber gets it, compressed or not; one that may still be
	// dropped or replaced, as it was published, with its key and 100 bytes more,
	// which is what keeping it takes.
	Limit int
	// Timeout is for how long a subscriber may take less than 1 KiB while
	// messages wait; after that its queue counts as full. Default: off, so that
	// only Limits.WriteTimeout applies, which drops the connection.
	Timeout time.Duration
}

func (s Slow) withDefaults(e *settings) Slow {
	setDefault(&s.Limit, e.policy.Limit)
	return s
}

// override returns what replaces the policy of the server: nil for the zero Slow.
func (s Slow) override(e *settings) *Slow {
	if s == (Slow{}) {
		return nil
	}
	s = s.withDefaults(e)
	return &s
}

// keeps says whether what waits may be dropped or replaced later.
func (s *Slow) keeps() bool { return s.Policy == SlowDropOldest || s.Policy == SlowConflate }

// SetSlow replaces, for this connection, the policy of the server and of the
// topics it subscribes to. The zero Slow undoes that. The error is an
// *OptionError if slow cannot be meant. Any goroutine.
func (ws *WebSocket) SetSlow(slow Slow) error {
	if err := slow.validate(ws.settings()); err != nil {
		return err
	}
	own := slow.override(ws.settings())
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().slow = own
	return nil
}

// decide does with msg, the last message published, what the policy of a slow
// subscriber says. Under the fan's lock.
func (f *fan) decide(s *subscription, msg message, d *Delivery) {
	ws, m, b := s.member.ws, s.member, s.backlog
	w := m.slow.Load()
	ws.conn.Lock()
	rules := s.rulesLocked()
	room, waits := s.roomLocked(rules), rules.keeps() || !w.nothing() || ws.out.Fragments != 0
	need := msg.size()
	if waits {
		need = msg.weight()
	}
	m.seq = msg.number
	var end bool
	switch {
	case rules.Policy == SlowConflate && w.replace(b, msg, room):
		d.Conflated++
		f.hub.conflated.Add(1)
	case need <= room && waits:
		w.push(b, msg)
		d.Queued++
	case need <= room:
		m.writeLocked(msg) // if it is closing, it counts as Queued all the same
		d.Queued++
	case rules.Policy == SlowDropOldest && b.load.weight+room >= need && w.frozen == 0:
		f.hub.dropped.Add(w.displace(b, msg, need-room))
		d.Dropped++
	case rules.Policy == SlowClose && !f.loop.Over(): // otherwise relief chooses who is closed
		d.Closed++
		end = true
	default:
		w.miss(b, 1)
		d.Dropped++
		f.hub.dropped.Add(1)
	}
	ws.conn.Unlock()
	if end {
		f.retire(m)
		m.discard()
		ws.shed()
	}
}

// rulesLocked returns the policy for s. Under the locks of the fan and the
// connection.
func (s *subscription) rulesLocked() *Slow {
	ws := s.member.ws
	if x := ws.extras; x != nil && x.slow != nil {
		return x.slow
	}
	if rules := s.part.rules; rules != nil && rules.slow != nil {
		return rules.slow
	}
	return &ws.settings().slow
}

// roomLocked returns how many bytes more may wait for s: none while the memory of
// the loop is spent. Under the locks of the fan and the connection.
func (s *subscription) roomLocked(rules *Slow) int {
	c := &s.member.ws.conn
	room := math.MaxInt / 2
	if rules.Limit > 0 {
		room = rules.Limit - c.QueuedLocked() - s.member.slow.Load().weight
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
func (f *fan) markSlow(m *member) {
	if m.gone {
		return
	}
	c := &m.ws.conn
	c.Lock()
	defer c.Unlock()
	if m.slow.Load() != nil {
		return
	}
	list := f.collect(f.unsent[:0], m, m.seq, f.number)
	f.markSlowLocked(m, list)
	f.keepUnsent(list)
}

// markSlowLocked is markSlow of a member that is not slow, and still has to get
// list. Under the connection's lock too.
func (f *fan) markSlowLocked(m *member, list []unsent) {
	w := &waiting{m: m}
	m.slow.Store(w)
	for _, s := range m.subs {
		s.addBacklog(w)
	}
	for _, u := range list {
		b := u.s.backlog
		if m.ws.out.Fragments == 0 && len(w.queue) == 0 && !u.s.rulesLocked().keeps() && !u.behindGap() {
			m.writeLocked(*u.msg)
		} else {
			w.push(b, *u.msg)
		}
	}
	m.seq = f.number
	m.ws.conn.NotifyEmptyLocked()
}

// addBacklog makes s a subscription of a slow member. Under the fan's lock.
func (s *subscription) addBacklog(w *waiting) {
	p := s.part
	missed := s.missed()
	s.backlog = &backlog{s: s, at: int32(len(p.slow))}
	w.tally(s.backlog)
	s.lost = p.refused
	p.slow = append(p.slow, s)
	w.miss(s.backlog, missed)
}

// removeBacklog undoes addBacklog. What waits in the backlog stays with the member.
// Under the fan's lock.
func (s *subscription) removeBacklog() {
	b := s.backlog
	if b == nil {
		return
	}
	slow := s.part.slow
	last := len(slow) - 1
	slow[b.at] = slow[last]
	slow[b.at].backlog.at = b.at
	slow[last] = nil
	s.part.slow = slow[:last]
	s.backlog = nil
	s.member.slow.Load().tally(b)
}

// unmarkSlowLocked undoes markSlow. Under the locks of the fan and the connection.
func (m *member) unmarkSlowLocked() {
	for _, s := range m.subs {
		s.removeBacklog()
	}
	m.seq = m.fan.number
	m.slow.Store(nil)
}

// retire stops counting the subscriptions of m, for which nothing more is
// published. Under the fan's lock.
func (f *fan) retire(m *member) {
	if m.gone {
		return
	}
	m.gone = true
	for _, s := range m.subs {
		s.part.count--
	}
}
