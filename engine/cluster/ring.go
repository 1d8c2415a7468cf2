package cluster

import "sort"

// ring is the last messages of a topic, without a gap, behind its base.
type ring struct {
	limit    Budget
	base     Position // in front of the first message
	messages []Message
	bytes    int
}

// place says where a position is, seen from a ring.
type place int

const (
	inside  place = iota // the ring has all that is behind it
	before               // in front of the ring: in the history, if anywhere
	ahead                // behind the end of the ring
	foreign              // not in this chain
	unknown              // the chain has not begun
)

// reset empties the ring; base is its only position.
func (r *ring) reset(base Position) {
	r.base, r.messages, r.bytes = base, nil, 0
}

// end is the position behind the last message.
func (r *ring) end() Position {
	if len(r.messages) == 0 {
		return r.base
	}
	return r.messages[len(r.messages)-1].Position()
}

// push appends m, which follows the end, and drops what is over the limit.
func (r *ring) push(m Message) {
	if end := r.end(); end.ID != "" {
		m.Prev = end.Offset
	}
	r.messages = append(r.messages, m)
	r.bytes += m.size()
	for len(r.messages) > 1 && (len(r.messages) > r.limit.Messages || r.bytes > r.limit.Bytes) {
		first := &r.messages[0]
		r.base = first.Position()
		r.bytes -= first.size() // and it stays as it is: batches share it
		r.messages = r.messages[1:]
	}
}

// prepend puts older before the messages of the ring, whose base is behind the
// last of them, if all have room.
func (r *ring) prepend(base Position, older []Message) {
	bytes := 0
	for i := range older {
		bytes += older[i].size()
	}
	if len(older)+len(r.messages) > r.limit.Messages || bytes+r.bytes > r.limit.Bytes {
		return
	}
	all := make([]Message, 0, len(older)+len(r.messages))
	r.messages = append(append(all, older...), r.messages...)
	r.base = base
	r.bytes += bytes
	if len(older) > 0 && len(r.messages) > len(older) {
		r.messages[len(older)].Prev = older[len(older)-1].Offset
	}
}

// find returns the index of the first message at offset or behind it.
func (r *ring) find(offset uint64) int {
	return sort.Search(len(r.messages), func(i int) bool { return r.messages[i].Offset >= offset })
}

// after returns the messages behind p, if p is inside.
func (r *ring) after(p Position) ([]Message, place) {
	switch {
	case p.Epoch != r.base.Epoch:
		return nil, foreign
	case p.Offset < r.base.Offset, p.ID != "" && r.base.ID == "" && p.Offset == r.base.Offset:
		return nil, before
	case p == r.base:
		return r.messages, inside
	case p.ID == "":
		return r.afterEmpty(p)
	case p.Offset > r.end().Offset:
		return nil, ahead
	}
	if i := r.find(p.Offset); i < len(r.messages) && r.messages[i].Position() == p {
		return r.messages[i+1:], inside
	}
	return nil, foreign
}

// afterEmpty is after for a position that no message is in front of, behind the
// base.
func (r *ring) afterEmpty(p Position) ([]Message, place) {
	if r.base.ID != "" || len(r.messages) > 0 && r.messages[0].Offset <= p.Offset {
		return nil, foreign // a message is in front of it
	}
	return r.messages, inside
}

// inFront returns the messages in front of p that the ring has, and whether it has
// the message at p or p is its base.
func (r *ring) inFront(p Position) ([]Message, bool) {
	if p == r.base {
		return nil, true
	}
	if i := r.find(p.Offset); i < len(r.messages) && r.messages[i].Position() == p {
		return r.messages[:i], true
	}
	return nil, false
}

// has reports whether m is in the ring, or its base.
func (r *ring) has(m *Message) bool {
	if m.Position() == r.base {
		return true
	}
	i := r.find(m.Offset)
	return i < len(r.messages) && r.messages[i].Position() == m.Position()
}
