package engine

import "github.com/fanloop-go/fanloop/engine/internal/frames"

// deliver writes what is in flight to subs, of one part.
func (f *fan) deliver(subs []*subscription) {
	for _, s := range subs {
		_ = s.member.ws.out.State()
	}
	sent := 0
	for _, s := range subs {
		if f.several {
			sent += f.deliverSeveral(s)
		} else {
			sent += f.deliverOne(s)
		}
	}
	f.loop.CountOut(sent)
}

// deliverOne writes to s what is in flight in its part, which is all that its
// connection is to get. It returns the number of messages.
func (f *fan) deliverOne(s *subscription) (sent int) {
	p, m := s.part, s.member
	c, b := &m.ws.conn, f.batch(p, m.ws.out.Variant)
	c.Lock()
	defer c.Unlock()
	if !f.readyLocked(m) {
		return 0
	}
	had := max(m.seq, s.since)
	if had < p.inflight[0].number {
		return f.sendLocked(m, b, len(p.inflight))
	}
	f.msgs = pointers(f.msgs, after(p.inflight, had))
	return f.sendMessagesLocked(m)
}

// deliverSeveral writes to the connection of s what it is to get of all parts. The
// flush comes to a member once for each of its topics that has messages; only the
// first time there is something to write.
func (f *fan) deliverSeveral(s *subscription) (sent int) {
	m := s.member
	f.noticeGap(s)
	if f.served(m) {
		return 0
	}
	f.mu.Lock()
	list := f.collect(f.list[:0], m, 0, f.upTo) // from 0: without the connection's lock m.seq is unknown
	f.mu.Unlock()
	v := m.ws.out.Variant
	for _, u := range list {
		u.msg.frames.In(v, f.hub.compressor) // not under the lock
	}
	m.ws.conn.Lock()
	if f.readyLocked(m) {
		for _, u := range list {
			if u.msg.number > m.seq {
				f.msgs = append(f.msgs, u.msg)
			}
		}
		sent = f.sendMessagesLocked(m)
	}
	m.ws.conn.Unlock()
	f.keepList(list)
	return sent
}

// served says whether m has everything that the flush delivers.
func (f *fan) served(m *member) bool {
	m.ws.conn.Lock()
	defer m.ws.conn.Unlock()
	return m.seq >= f.upTo
}

// keepList keeps the room of list for the next one.
func (f *fan) keepList(list []unsent) {
	clear(list)
	f.list = list[:0]
	if cap(list) > keptUnsent {
		f.list = nil
	}
}

// noticeGap makes s one that OnGap is called for before it gets anything else, if
// publishes were refused behind what is in flight.
func (f *fan) noticeGap(s *subscription) {
	if !s.part.gap { // only the flush changes it
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case s.backlog != nil || s.missed() == 0:
	case s.member.ws.callbacks.OnGap == nil:
		s.lost = s.part.refused
	default:
		f.slowed = append(f.slowed, s.member) // markSlow notes what is missing
	}
}

// readyLocked says whether m is to be written to now. One that is not because it
// takes no more becomes slow.
func (f *fan) readyLocked(m *member) bool {
	ws := m.ws
	if m.seq >= f.upTo || !ws.out.IsOpen() {
		return false
	}
	if ws.out.Fragments != 0 || ws.conn.BlockedLocked() {
		f.slowed = append(f.slowed, m)
		return false
	}
	return true
}

// batch returns what is in flight in p as v has it.
func (f *fan) batch(p *part, v frames.Variant) *batch {
	b := &f.batches[v]
	if len(b.frames) == 0 {
		msgs := pointers(f.msgs, p.inflight)
		b.fill(msgs, v, f.hub.compressor)
		f.keepMsgs(msgs)
	}
	return b
}

// sendMessagesLocked is sendLocked of f.msgs.
func (f *fan) sendMessagesLocked(m *member) (sent int) {
	msgs, v := f.msgs, m.ws.out.Variant
	if len(msgs) == 0 {
		m.seq = f.upTo
		return 0
	}
	sent = f.sendLocked(m, f.others[v].of(msgs, v, f.hub.compressor), len(msgs))
	f.keepMsgs(msgs)
	return sent
}

// pointers appends pointers to the messages of from to list.
func pointers(list []*message, from []message) []*message {
	for i := range from {
		list = append(list, &from[i])
	}
	return list
}

// keepMsgs keeps the room of list for the next one.
func (f *fan) keepMsgs(list []*message) {
	clear(list)
	f.msgs = list[:0]
	if cap(list) > keptUnsent {
		f.msgs = nil
	}
}

// sendLocked writes b, of n messages, to m, straight to the socket. It returns
// the number of messages that were taken.
func (f *fan) sendLocked(m *member, b *batch, n int) (sent int) {
	ws := m.ws
	c := &ws.conn
	if b.compressed {
		ws.out.Overtaken = true
	}
	m.seq = f.upTo
	var err error
	if len(b.frames) == 1 {
		err = c.WriteSharedLocked(b.frames[0], true)
	} else if err = c.QueueSharedLocked(b.frames); err == nil {
		c.FlushLocked()
	}
	if err != nil { // it was closed meanwhile
		return 0
	}
	if c.BlockedLocked() {
		f.slowed = append(f.slowed, m)
	}
	return n
}
