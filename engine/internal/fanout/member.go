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
	subs    []*subscription
	index   map[string]*subscription // once there are many
	closing bool                     // not counted any more, and nothing more is published to it
}

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

func (m *Member) find(topic string) *subscription {
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

// indexFrom is the number of topics from which a member keeps an index.
const indexFrom = 16
