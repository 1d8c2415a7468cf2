package fanout

import (
	"cmp"
	"slices"
	"sort"
)

// unsent is a message that a subscription is still to get.
type unsent struct {
	s   *subscription
	msg *Message // in part.inflight or part.pending
}

// behindGap reports whether OnGap has to be called before the message is written.
// Under the fan's lock.
func (u *unsent) behindGap() bool {
	first := u.s.part.gap
	if first == 0 {
		first = u.s.part.nextGap
	}
	return first > 0 && u.msg.number >= first && u.s.missed() > 0
}

// reachesGap says whether OnGap has to be called before some of list is written. Under
// the fan's lock.
func reachesGap(list []unsent) bool {
	return slices.ContainsFunc(list, func(u unsent) bool { return u.behindGap() })
}

// byNumber sorts unsent messages as they were published. It is a sort.Interface: what
// slices.SortFunc makes for one more type is 9 KB of every program that imports engine.
type byNumber []unsent

func (l *byNumber) Len() int           { return len(*l) }
func (l *byNumber) Less(i, j int) bool { return (*l)[i].msg.number < (*l)[j].msg.number }
func (l *byNumber) Swap(i, j int)      { (*l)[i], (*l)[j] = (*l)[j], (*l)[i] }

// keptUnsent is the room for a list of unsent messages that is kept.
const keptUnsent = 1024

// after returns the messages of msgs with a number above number.
func after(msgs []Message, number uint64) []Message {
	if len(msgs) == 0 || msgs[0].number > number {
		return msgs
	}
	i, _ := slices.BinarySearchFunc(msgs, number+1, func(m Message, n uint64) int { return cmp.Compare(m.number, n) })
	return msgs[i:]
}

// appendUnsent appends what s is to get of the messages numbered above from, up
// to to. Under the fan's lock.
func (s *subscription) appendUnsent(list []unsent, from, to uint64) []unsent {
	for _, msgs := range [2][]Message{s.part.inflight, s.part.pending} {
		msgs = after(msgs, from)
		for i := range msgs {
			if msgs[i].number > to {
				break
			}
			list = append(list, unsent{s, &msgs[i]})
		}
	}
	return list
}

// eachLoaded calls fn for the subscriptions of m that may have unsent messages. It
// goes by the topics that have messages, or by those that m has subscribed to,
// whichever are fewer. Under the fan's lock.
func (f *fan) eachLoaded(m *Member, fn func(*subscription)) {
	if len(f.loaded) > m.count() {
		for s := range m.subs {
			fn(s)
		}
		return
	}
	for _, p := range f.loaded {
		if s := m.find(p.topic.name); s != nil && s.part == p {
			fn(s)
		}
	}
}

// collect appends what m is to get of the messages numbered above from, up to to,
// in order. Under the fan's lock.
func (f *fan) collect(list []unsent, m *Member, from, to uint64) []unsent {
	f.eachLoaded(m, func(s *subscription) { list = s.appendUnsent(list, from, to) })
	if len(list) > 1 && list[0].s != list[len(list)-1].s {
		f.sorting = list
		sort.Sort(&f.sorting)
		f.sorting = nil
	}
	return list
}

// catchUp writes to m what was published and not delivered yet. A slow member
// has nothing to catch up with: its policy decided when it was published. One
// that is closing gets nothing more. Under the fan's lock.
func (f *fan) catchUp(m *Member) {
	if len(f.loaded) == 0 || m.waiting() != nil || m.closing() {
		return
	}
	c := m.conn
	c.Lock()
	defer c.Unlock()
	if m.seq == f.number {
		return
	}
	list := f.collect(f.unsent[:0], m, m.seq, f.number)
	if len(list) > 0 && (m.out.Fragments != 0 || reachesGap(list)) {
		f.markSlowLocked(m, list) // §5.4: no other message between fragments
	} else {
		for _, u := range list {
			m.writeLocked(*u.msg)
		}
	}
	m.seq = f.number
	f.keepUnsent(list)
}

// keepUnsent keeps the room of list for the next one.
func (f *fan) keepUnsent(list []unsent) {
	clear(list)
	f.unsent = list[:0]
	if cap(list) > keptUnsent {
		f.unsent = nil
	}
}

// writeLocked writes msg unless the connection is closing. Under the
// connection's lock.
func (m *Member) writeLocked(msg Message) {
	if !m.out.MayWrite() {
		return
	}
	frame := msg.Frames.In(m.out.Variant, m.fan().hub.compressor)
	if frame != msg.Frames.Plain() {
		m.out.Overtaken = true
	}
	if m.conn.WriteSharedLocked(frame, true) == nil {
		m.fan().loop.CountOut(1)
	}
}

// CatchUp brings m up to date because a message is about to be sent to it directly. What
// waits in its backlogs is written before that too, as far as OnGap need not be called
// first. Any goroutine that holds no lock.
func (m *Member) CatchUp() {
	if r := m.rare.Load(); r.fan.busy.Load() || r.slow.Load() != nil {
		m.catchUpAll()
	}
}

// catchUpAll is CatchUp where something may wait.
func (m *Member) catchUpAll() {
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	m.fan().catchUp(m)
	if w := m.waiting(); w != nil && w.reporting == 0 {
		c := m.conn
		c.Lock()
		defer c.Unlock()
		w.writeWaitingLocked(true)
	}
}
