package fanout

import "time"

// part is the subscribers of one topic that one fan has. Guarded by the fan's
// lock, but for what is said.
type part struct {
	// Immutable.
	fan   *fan
	topic *Topic
	group *group // nil: it never waits for others

	rules *Rules          // nil: the server's
	subs  []*subscription // read by the loop without lock while flushing
	count int             // of subscribers, as it is with all changes made
	slow  []*subscription // those that have a backlog

	pending  []Message   // published since the last flush
	inflight []Message   // what the flush delivers; read by the loop without lock while flushing
	weight   int         // of pending
	at       int32       // in fan.loaded, if there are messages
	refusing bool        // publishes were refused since the last flush began: all are, until the next one
	delay    *time.Timer // runs while what is pending is delayed; nil: it is not
	sends    int         // of the flush under way; owned by the loop

	refused  uint64    // messages so far that no subscriber gets; unknown for each gap that nobody counted
	gap      uint64    // number of the first message behind the gap that the flush under way reports; 0: there is none
	nextGap  uint64    // the same of the next flush
	refusals []refusal // where what subscriptions missed may begin, unless it is noted in a backlog
	ofGap    int       // how many of them are those of gap
	parted   bool      // some subscription misses what is refused from now on
}

// change is a subscriber that joins or leaves during a flush.
type change struct {
	s     *subscription
	leave bool
}

// join adds a subscription. Under the fan's lock, as all that follows.
func (f *fan) join(m *Member, p *part) *subscription {
	f.catchUp(m) // what was published before is not for it
	s := m.add(subscription{member: m, part: p, lost: p.refused})
	f.subscriptions.Add(1)
	if m.count() == 1 {
		f.members.Add(1)
	}
	p.count++
	p.parted = true
	if w := m.waiting(); w != nil {
		m.skip(f.number) // as catchUp does for others
		after := w.gapOf(p.topic.name)
		s.addBacklog(w)
		s.backlog().after = after
	}
	f.apply(change{s: s})
	return s
}

// leave ends a subscription. Its backlog stays with the member.
func (f *fan) leave(s *subscription) {
	m := s.member
	s.removeBacklog()
	m.remove(s)
	f.subscriptions.Add(-1)
	if m.count() == 0 {
		f.members.Add(-1)
	}
	if !m.closing() {
		s.part.count--
	}
	f.apply(change{s: s, leave: true})
}

// apply makes a change of subs, or notes it for the end of the flush.
func (f *fan) apply(c change) {
	if f.flushing {
		f.changes = append(f.changes, c)
		return
	}
	p := c.s.part
	if !c.leave {
		c.s.at = int32(len(p.subs))
		p.subs = append(p.subs, c.s)
		return
	}
	last := len(p.subs) - 1
	moved := p.subs[last]
	p.subs[c.s.at], moved.at = moved, c.s.at
	p.subs[last] = nil
	p.subs = p.subs[:last]
}
