package fanout

import "github.com/fanloop-go/fanloop/engine/internal/frames"

// deliver writes what is in flight to subs, of one part. It returns the number of sends.
func (f *fan) deliver(subs []*subscription) (sends int) {
	for _, s := range subs {
		f.loop.Touch(s.member.conn)
	}
	sent := 0
	for _, s := range subs {
		n := 0
		if f.several {
			n = f.deliverSeveral(s)
		} else {
			n = f.deliverOne(s)
		}
		sent += n
		sends += min(n, 1)
	}
	f.loop.CountOut(sent)
	return sends
}

// deliverOne writes to s what is in flight in its part, which is all that its
// connection is to get. It returns the number of messages.
func (f *fan) deliverOne(s *subscription) (sent int) {
	p, m := s.part, s.member
	c, b := m.conn, f.batch(p, m.out.Variant)
	c.Lock()
	defer c.Unlock()
	if !f.readyLocked(m) {
		return 0
	}
	if m.seq < p.inflight[0].number {
		return f.sendLocked(m, b, len(p.inflight))
	}
	f.msgs = pointers(f.msgs, after(p.inflight, m.seq))
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
	gap := f.gapped && m.waiting() == nil && reachesGap(list)
	f.mu.Unlock()
	if gap { // as slow it gets what is in front
		f.slowed = append(f.slowed, m)
		f.keepList(list)
		return 0
	}
	v := m.out.Variant
	for _, u := range list {
		u.msg.Frames.In(v, f.hub.compressor) // not under the lock
	}
	m.conn.Lock()
	if f.readyLocked(m) {
		for _, u := range list {
			if u.msg.number > m.seq {
				f.msgs = append(f.msgs, u.msg)
			}
		}
		sent = f.sendMessagesLocked(m)
	}
	m.conn.Unlock()
	f.keepList(list)
	return sent
}

// served reports whether m has everything that the flush delivers.
func (f *fan) served(m *Member) bool {
	m.conn.Lock()
	defer m.conn.Unlock()
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

// readyLocked reports whether m is to be written to now. One that is not because it
// takes no more becomes slow.
func (f *fan) readyLocked(m *Member) bool {
	if m.seq >= f.upTo || !m.out.IsOpen() {
		return false
	}
	if m.out.Fragments != 0 || m.conn.BlockedLocked() {
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
func (f *fan) sendMessagesLocked(m *Member) (sent int) {
	msgs, v := f.msgs, m.out.Variant
	if len(msgs) == 0 {
		m.seq = f.upTo
		return 0
	}
	sent = f.sendLocked(m, f.others[v].of(msgs, v, f.hub.compressor), len(msgs))
	f.keepMsgs(msgs)
	return sent
}

// pointers appends pointers to the messages of from to list.
func pointers(list []*Message, from []Message) []*Message {
	for i := range from {
		list = append(list, &from[i])
	}
	return list
}

// keepMsgs keeps the room of list for the next one.
func (f *fan) keepMsgs(list []*Message) {
	clear(list)
	f.msgs = list[:0]
	if cap(list) > keptUnsent {
		f.msgs = nil
	}
}

// sendLocked writes b, of n messages, to m, straight to the socket. It returns
// the number of messages that were taken.
func (f *fan) sendLocked(m *Member, b *batch, n int) (sent int) {
	c := m.conn
	if b.compressed {
		m.out.Overtaken = true
	}
	m.seq = f.upTo
	var err error
	if len(b.frames) == 1 {
		err = c.DeliverSharedLocked(b.frames[0])
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
