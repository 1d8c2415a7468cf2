package engine

// backlog is what waits for a slow subscriber outside the queue of its
// connection, where it can still be dropped or replaced. Guarded by the fan's
// lock.
type backlog struct {
	at     int32          // in part.slow
	msgs   []message      // oldest first; without frames: replaced by a later one
	first  int            // number of msgs[0]
	keys   map[string]int // number of the message of each key
	live   int            // those with frames
	bytes  int
	missed uint64 // messages dropped since OnGap was told
	told   uint64 // of them, those that OnGap is being told
}

func (b *backlog) push(msg message) {
	if msg.keyed {
		if b.keys == nil {
			b.keys = make(map[string]int)
		}
		b.keys[msg.key] = b.first + len(b.msgs)
	}
	b.msgs = append(b.msgs, msg)
	b.live++
	b.bytes += msg.size()
}

// pop takes the oldest message. There is one.
func (b *backlog) pop() message {
	for {
		msg, number := b.msgs[0], b.first
		b.msgs[0] = message{}
		b.msgs, b.first = b.msgs[1:], b.first+1
		if msg.frames == nil {
			continue
		}
		if msg.keyed && b.keys[msg.key] == number {
			delete(b.keys, msg.key)
		}
		b.live--
		b.bytes -= msg.size()
		return msg
	}
}

// replace pushes msg and forgets the older one of its key, if one waits and
// room is left for what it is larger.
func (b *backlog) replace(msg message, room int) bool {
	if !msg.keyed {
		return false
	}
	number, ok := b.keys[msg.key]
	if !ok {
		return false
	}
	old := &b.msgs[number-b.first]
	if more := msg.size() - old.size(); more > max(room, 0) {
		return false
	}
	b.live--
	b.bytes -= old.size()
	*old = message{}
	b.push(msg)
	if len(b.msgs) > 2*b.live+indexFrom {
		b.compact()
	}
	return true
}

// compact forgets where replaced messages were.
func (b *backlog) compact() {
	msgs := make([]message, 0, 2*b.live)
	for i, msg := range b.msgs {
		if msg.frames == nil {
			continue
		}
		if msg.keyed && b.keys[msg.key] == b.first+i {
			b.keys[msg.key] = len(msgs)
		}
		msgs = append(msgs, msg)
	}
	b.msgs, b.first = msgs, 0
}

// makeRoom drops the oldest messages, of n bytes or more together, and returns
// how many. There are as many.
func (b *backlog) makeRoom(n int) (dropped uint64) {
	for n > 0 {
		msg := b.pop()
		n -= msg.size()
		dropped++
	}
	b.missed += dropped
	return dropped
}

// releaseLocked writes the backlog of s, all of it, or until the socket takes no
// more. Under the locks of the fan and the connection.
func (s *subscription) releaseLocked(all bool) {
	b, c := s.backlog, &s.member.ws.conn
	s.member.releaseLateLocked()
	before := b.bytes
	for b.live > 0 && (all || !c.BlockedLocked()) {
		s.member.writeLocked(b.pop())
	}
	s.member.hold(b.bytes - before)
}

// overtake queues the backlog of s before something that was published or sent
// later, unless OnGap has to be told first, or another message is under way.
// Under the fan's lock.
func (s *subscription) overtake() {
	ws := s.member.ws
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if s.backlog.missed == 0 && ws.fragments == 0 {
		s.releaseLocked(true)
	}
}

// flushBacklog queues what waits for s if it is slow, gap or not, or leaves it to
// the member while another message is under way. Under the fan's lock.
func (s *subscription) flushBacklog() {
	if s.backlog == nil {
		return
	}
	m := s.member
	m.ws.conn.Lock()
	defer m.ws.conn.Unlock()
	if m.ws.fragments == 0 {
		s.releaseLocked(true)
		return
	}
	if m.late == nil {
		m.late = new(backlog)
	}
	for s.backlog.live > 0 {
		m.late.push(s.backlog.pop())
	}
}

// releaseLate is releaseLateLocked. Under the fan's lock.
func (m *member) releaseLate() {
	if m.late == nil {
		return
	}
	m.ws.conn.Lock()
	defer m.ws.conn.Unlock()
	m.releaseLateLocked()
}

// releaseLateLocked writes what waits for the end of a fragmented message, if
// that has come. Under the locks of the fan and the connection.
func (m *member) releaseLateLocked() {
	if m.late == nil || m.ws.fragments != 0 {
		return
	}
	m.hold(-m.late.bytes)
	for m.late.live > 0 {
		m.writeLocked(m.late.pop())
	}
	m.late = nil
}

// drained goes on with a slow subscriber that may have sent everything. On the
// loop, inside an event of the connection.
func (m *member) drained() {
	if !m.slow.Load() || m.waits() {
		return
	}
	m.tellGaps()
	m.release()
}

// waits says whether drained has to come again later, and sees to that.
func (m *member) waits() bool {
	ws := m.ws
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.fragments != 0 {
		return true // its end notifies
	}
	if ws.conn.QueuedLocked() == 0 {
		return false
	}
	ws.conn.NotifyEmptyLocked()
	return true
}

// release writes backlogs until the socket takes no more.
func (m *member) release() {
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	c := &m.ws.conn
	c.Lock()
	defer c.Unlock()
	if m.ws.fragments != 0 {
		return // begun by OnGap: its end notifies
	}
	m.releaseLateLocked()
	m.turn++
	slow := false
	for i := range m.subs {
		s := m.subs[(uint64(i)+uint64(m.turn))%uint64(len(m.subs))]
		b := s.backlog
		if b == nil {
			continue
		}
		if b.missed == 0 { // otherwise OnGap comes first
			s.releaseLocked(false)
		}
		if b.live > 0 || b.missed > 0 {
			slow = true
			continue
		}
		m.fan.unslow(s)
	}
	if slow {
		c.NotifyEmptyLocked()
		return
	}
	m.slow.Store(false)
}

// note notes in shared what waits. Under the fan's lock.
func (b *backlog) note(shared map[*byte]int) {
	if b == nil {
		return
	}
	for _, msg := range b.msgs {
		if msg.frames != nil {
			msg.frames.note(shared)
		}
	}
}
