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
	fan  *fan

	// seq is the number up to which every message for this connection was written,
	// or decided on by policy. Guarded by the connection's lock.
	seq uint64

	// Written under the locks of the fan and the connection, read by anyone.
	slow atomic.Pointer[waiting] // nil: not slow; otherwise every subscription has a backlog

	// Guarded by the fan's lock.
	rare *rare        // nil: it had one topic at most, and is not closing
	only subscription // the first one: most members have no other
}

// rare is what members with several topics have, and those that are closing.
type rare struct {
	subs    []*subscription          // all of them; nil: it had one at most
	index   map[string]*subscription // nil: it had few topics
	closing bool                     // not counted any more, and nothing more is published to it
}

// closedMember is the rare of closing members that had one topic at most. Immutable.
var closedMember = &rare{closing: true}

func (m *Member) closing() bool { return m.rare != nil && m.rare.closing }

// NewMember makes a member of the connection c, which the loop of that index owns.
func (h *Hub) NewMember(c *loop.Conn, o *outlet.Outlet, loop int) *Member {
	return &Member{conn: c, out: o, fan: h.fans[loop]}
}

// subscription is one connection in one topic.
type subscription struct {
	// Immutable.
	member *Member
	part   *part
	since  uint64 // number of the last message before it joined

	// Guarded by the fan's lock.
	at      int32    // in part.subs
	own     int32    // in rare.subs of the member; -1: it was left
	backlog *backlog // nil: not slow
	lost    uint64   // of part.refused, those that were reported or not meant for it
}

// count returns the number of subscriptions. Under the fan's lock, as all that follows.
func (m *Member) count() int {
	switch {
	case m.rare != nil && m.rare.subs != nil:
		return len(m.rare.subs)
	case m.hasOnly():
		return 1
	}
	return 0
}

func (m *Member) hasOnly() bool { return m.only.member != nil && m.only.own >= 0 }

// subs calls yield for each subscription.
func (m *Member) subs(yield func(*subscription) bool) {
	if m.rare == nil || m.rare.subs == nil {
		_ = m.hasOnly() && yield(&m.only)
		return
	}
	for _, s := range m.rare.subs {
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
	if m.rare == nil {
		m.rare = new(rare)
		if m.hasOnly() {
			m.rare.subs = append(m.rare.subs, &m.only)
		}
	}
	r, s := m.rare, new(subscription)
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

// remove undoes add.
func (m *Member) remove(s *subscription) {
	if r := m.rare; r != nil && r.subs != nil {
		last := len(r.subs) - 1
		r.subs[s.own], r.subs[last].own = r.subs[last], s.own
		r.subs[last] = nil
		r.subs = r.subs[:last]
		delete(r.index, s.part.topic.name)
	}
	s.own = -1
}

func (m *Member) find(topic string) *subscription {
	if m.rare != nil && m.rare.index != nil {
		return m.rare.index[topic]
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
