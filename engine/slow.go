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
// is asked while a subscriber's connection takes no more, or while a fragmented
// message is under way on it. What was published before that was noticed, which
// is at the end of the loop's iteration, is sent whatever the policy.
//
// A direct send, and Close, turn what waits for its connection into what is
// queued: it keeps its place in the order, and can not be dropped or replaced
// any more.
type Slow struct {
	Policy SlowPolicy
	// Limit is the most bytes that wait for one subscriber. Default:
	// Limits.MaxQueued of the server; NoLimit turns it off. A message that is queued
	// counts as the subscriber gets it, compressed or not; one that may still be
	// dropped or replaced, as it was published.
	Limit int
	// Timeout is for how long a subscriber may take less than 1 KiB while
	// messages wait; after that its queue counts as full. Default: off, so that
	// only Limits.WriteTimeout applies, which drops the connection.
	Timeout time.Duration
}

func (s Slow) withDefaults(e *endpoint) Slow {
	setDefault(&s.Limit, e.policy.Limit)
	return s
}

// override returns what replaces the policy of the server: nil for the zero Slow.
func (s Slow) override(e *endpoint) *Slow {
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
	if err := slow.validate(ws.endpoint); err != nil {
		return err
	}
	own := slow.override(ws.endpoint)
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().slow = own
	return nil
}

// decide settles what a slow subscriber gets of msg, the message number
// part.seq. Under the fan's lock.
func (f *fan) decide(s *subscription, msg message, d *Delivery) {
	ws, m, b := s.member.ws, s.member, s.backlog
	ws.conn.Lock()
	rules := s.rulesLocked()
	before, size, room := b.bytes, msg.size(), s.roomLocked(rules)
	s.seq = s.part.seq
	var end bool
	switch {
	case rules.Policy == SlowConflate && b.replace(msg, room):
		d.Conflated++
		f.hub.conflated.Add(1)
	case size <= room && (rules.keeps() || b.live > 0 || b.missed > 0 || m.late != nil || ws.fragments != 0):
		b.push(msg)
		d.Queued++
	case size <= room:
		m.writeLocked(msg) // closing: it counts as on its way
		d.Queued++
	case rules.Policy == SlowDropOldest && b.bytes+room >= size:
		f.hub.dropped.Add(b.makeRoom(size - room))
		b.push(msg)
		d.Dropped++
	case rules.Policy == SlowClose:
		d.Closed++
		f.hub.closed.Add(1)
		end = true
	default:
		b.missed++
		d.Dropped++
		f.hub.dropped.Add(1)
	}
	m.hold(b.bytes - before)
	ws.conn.Unlock()
	if end {
		f.retire(m)
		ws.shed()
	}
}

// rulesLocked returns the policy for s. Under the locks of the fan and the
// connection.
func (s *subscription) rulesLocked() *Slow {
	if x := s.member.ws.extras; x != nil && x.slow != nil {
		return x.slow
	}
	return s.part.slowRules()
}

// roomLocked returns how many bytes more may wait for s. Under the locks of the
// fan and the connection.
func (s *subscription) roomLocked(rules *Slow) int {
	c := &s.member.ws.conn
	room := math.MaxInt / 2
	if rules.Limit > 0 {
		room = rules.Limit - c.QueuedLocked() - int(s.member.held.Load())
	}
	if rules.Timeout > 0 && c.StalledLocked() >= rules.Timeout {
		room = min(room, 0)
	}
	return room
}

// markSlow makes every subscription of m get its messages by policy until its
// connection has sent everything. What it has not got yet is queued, or waits
// where it can be replaced. Under the fan's lock.
func (f *fan) markSlow(m *member) {
	if m.gone {
		return
	}
	c := &m.ws.conn
	c.Lock()
	defer c.Unlock()
	for _, s := range m.subs {
		if s.backlog != nil {
			continue
		}
		b := &backlog{at: int32(len(s.part.slow)), missed: s.missed()}
		s.backlog, s.lost = b, s.part.refused
		s.part.slow = append(s.part.slow, s)
		now := m.ws.fragments == 0 && !s.rulesLocked().keeps()
		due := s.part.dueBefore(b.missed)
		s.eachMissing(func(msg message) {
			if now && s.seq <= due {
				m.writeLocked(msg)
				return
			}
			b.push(msg)
		})
		m.hold(b.bytes)
	}
	m.slow.Store(true)
	c.NotifyEmptyLocked()
}

// unslow undoes markSlow for one subscription, and forgets its backlog. Under
// the fan's lock.
func (f *fan) unslow(s *subscription) {
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
	s.member.hold(-b.bytes)
	s.backlog = nil
}

// hold counts n more bytes in the backlogs of m. Under the fan's lock.
func (m *member) hold(n int) {
	if n != 0 {
		m.held.Add(int64(n))
		m.fan.loop.Hold(n)
	}
}

// retire stops counting the subscriptions of m, which gets nothing any more.
// Under the fan's lock.
func (f *fan) retire(m *member) {
	if m.gone {
		return
	}
	m.gone = true
	if m.late != nil {
		m.hold(-m.late.bytes)
		m.late = nil
	}
	for _, s := range m.subs {
		s.part.count--
		if b := s.backlog; b != nil {
			m.hold(-b.bytes)
			*b = backlog{at: b.at}
		}
	}
}
