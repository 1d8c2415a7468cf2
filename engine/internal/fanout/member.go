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
	subs []*subscription
	rare *rare // nil: it has few topics, and is not closing

	// The first subscription, and a place for it: most members have one. It is not used
	// again, since a flush or a backlog may still know it.
	first [1]*subscription // what subs begins with
	only  subscription
}

// rare is what members with many topics have, and those that are closing.
type rare struct {
	index   map[string]*subscription // nil: it had few topics
	closing bool                     // not counted any more, and nothing more is published to it
}

// closedMember is the rare of members with few topics that are closing. Immutable.
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
	own     int32    // in member.subs
	backlog *backlog // nil: not slow
	lost    uint64   // of part.refused, those that were reported or not meant for it
}

// subscription returns a new subscription of m. Under the fan's lock.
func (m *Member) subscription() *subscription {
	if m.only.member != nil {
		return new(subscription)
	}
	m.subs = m.first[:0]
	return &m.only
}

func (m *Member) find(topic string) *subscription {
	if m.rare != nil && m.rare.index != nil {
		return m.rare.index[topic]
	}
	for _, s := range m.subs {
		if s.part.topic.name == topic {
			return s
		}
	}
	return nil
}

// indexFrom is the number of topics from which a member keeps an index.
const indexFrom = 16
