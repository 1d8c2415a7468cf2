package fanout

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// Member is a connection that subscribes, or did.
type Member struct {
	// Immutable.
	conn *loop.Conn     // its connection
	out  *outlet.Outlet // of that

	// seq is the number up to which every message for this connection was written,
	// or decided on by policy. Guarded by the connection's lock.
	seq uint64

	// Written under the fan's lock, read by anyone.
	rare atomic.Pointer[rare] // fan.plain: it had one topic at most, is not slow and not closing

	only subscription // the first one: most members have no other; guarded by the fan's lock
}

// rare is what members with several topics have, those that are slow, and those that are
// closing. Others share one.
type rare struct {
	fan *fan // immutable

	// Written under the locks of the fan and the connection, read by anyone.
	slow atomic.Pointer[waiting] // nil: not slow; otherwise every subscription has a backlog

	// Guarded by the fan's lock.
	subs    []*subscription          // all of them; nil: it had one at most
	index   map[string]*subscription // nil: it had few topics
	closing bool                     // not counted any more, and nothing more is published to it
}

// waiting returns what waits for m; nil: it is not slow. Any goroutine.
func (m *Member) waiting() *waiting {
	return m.rare.Load().slow.Load()
}

// fan returns that of m, always the same one. Any goroutine.
func (m *Member) fan() *fan { return m.rare.Load().fan }

// closing is under the fan's lock.
func (m *Member) closing() bool { return m.rare.Load().closing }

// rarely returns a rare that m, which is not closing, has for itself, made if need be. Under
// the fan's lock.
func (m *Member) rarely() *rare {
	r := m.rare.Load()
	if f := r.fan; r == f.plain {
		r = &rare{fan: f}
		m.rare.Store(r)
	}
	return r
}

// NewMember makes a member of the connection c, which the loop of that index owns.
func (h *Hub) NewMember(c *loop.Conn, o *outlet.Outlet, loop int) *Member {
	return newMember(c, o, h.fans[loop])
}

func newMember(c *loop.Conn, o *outlet.Outlet, f *fan) *Member {
	m := &Member{conn: c, out: o}
	m.rare.Store(f.plain)
	return m
}

// subscription is one connection in one topic.
type subscription struct {
	// Immutable.
	member *Member
	part   *part

	// Guarded by the fan's lock.
	at   int32  // in part.subs
	own  int32  // in rare.subs of the member; -1: it was left
	lost uint64 // of part.refused, those that were reported or not meant for it
}

// backlog returns what waits in s; nil: it is not slow, or was left. Under the fan's lock.
func (s *subscription) backlog() *backlog {
	w := s.member.waiting()
	if w == nil || s.own < 0 || int(s.own) >= len(w.backlogs) {
		return nil
	}
	return w.backlogs[s.own]
}

// several returns all subscriptions of m, if it had more than one. Under the fan's lock.
func (m *Member) several() []*subscription {
	return m.rare.Load().subs
}

// count returns the number of subscriptions. Under the fan's lock, as all that follows.
func (m *Member) count() int {
	switch subs := m.several(); {
	case subs != nil:
		return len(subs)
	case m.hasOnly():
		return 1
	}
	return 0
}

func (m *Member) hasOnly() bool { return m.only.member != nil && m.only.own >= 0 }

// subs calls yield for each subscription.
func (m *Member) subs(yield func(*subscription) bool) {
	subs := m.several()
	if subs == nil {
		_ = m.hasOnly() && yield(&m.only)
		return
	}
	for _, s := range subs {
		if !yield(s) {
			return
		}
	}
}

// add makes a subscription of one, and returns its place. The first place is not used
// again, since a flush or a backlog may still know the subscription that had it.
func (m *Member) add(one subscription) *subscription {
	if m.only.member == nil {
		m.only = one
		return &m.only
	}
	r := m.rarely()
	if r.subs == nil && m.hasOnly() {
		r.subs = append(r.subs, &m.only)
	}
	s := new(subscription)
	*s = one // which is on the stack this way
	s.own = int32(len(r.subs))
	r.subs = append(r.subs, s)
	switch {
	case r.index != nil:
		r.index[s.part.topic.name] = s
	case len(r.subs) == indexFrom:
		r.index = make(map[string]*subscription, 2*indexFrom)
		for _, s := range r.subs {
			r.index[s.part.topic.name] = s
		}
	}
	return s
}

// remove undoes add. s has no backlog any more.
func (m *Member) remove(s *subscription) {
	if w := m.waiting(); w != nil {
		last := len(w.backlogs) - 1
		w.backlogs[s.own] = w.backlogs[last]
		w.backlogs[last] = nil
		w.backlogs = w.backlogs[:last]
	}
	if r := m.rare.Load(); r.subs != nil {
		last := len(r.subs) - 1
		r.subs[s.own], r.subs[last].own = r.subs[last], s.own
		r.subs[last] = nil
		r.subs = r.subs[:last]
		delete(r.index, s.part.topic.name)
	}
	s.own = -1
}

func (m *Member) find(topic string) *subscription {
	if r := m.rare.Load(); r.index != nil {
		return r.index[topic]
	}
	for s := range m.subs {
		if s.part.topic.name == topic {
			return s
		}
	}
	return nil
}

// indexFrom is the number of topics from which a member keeps an index.
const indexFrom = 16
