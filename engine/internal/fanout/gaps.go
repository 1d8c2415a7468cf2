package fanout

// Gap is messages of one topic that a member lost.
type Gap struct {
	Topic  string
	Missed uint64 // 0: unknown
	Over   bool   // the subscription has ended in front of them, by its policy
	Tag    any    // of the first of them, if Over; nil: unknown
}

// refusal is where a gap of a part begins, for some subscription.
type refusal struct {
	tag     any    // of the first message that is missing
	through uint64 // number of the last message in front of it
	refused uint64 // part.refused, without it
}

// firstRefusal is where what s missed begins, as far as it is not noted in a backlog.
// Under the fan's lock.
func (s *subscription) firstRefusal() refusal {
	first := refusal{through: s.part.fan.number}
	for i, r := range s.part.refusals {
		if i == 0 || int64(s.lost-r.refused) >= 0 {
			first = r
		}
	}
	return first
}

// unknown counts for the messages of a gap that nobody counted. No count of known ones
// reaches it.
const unknown = 1 << 40

// MarkGap has OnGap called for every subscriber of t before it gets what is published
// from now on: it may have missed something. Any goroutine that holds no lock.
func (h *Hub) MarkGap(t *Topic) {
	for _, p := range *t.parts.Load() {
		p.fan.markGap(p)
	}
}

func (f *fan) markGap(p *part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.count == 0 {
		return
	}
	if len(p.pending) == 0 && p.nextGap == 0 {
		f.enqueue(p)
	}
	p.lose(unknown, nil, nil)
}

// lose counts n messages that no subscriber but sender, which may be nil, gets, and notes
// that what is published from now on is behind a gap. tag is that of the first one. Under
// the fan's lock.
func (p *part) lose(n uint64, tag any, sender *subscription) {
	if p.nextGap == 0 || p.parted {
		p.refusals = append(p.refusals, refusal{tag: tag, through: p.fan.number, refused: p.refused})
	}
	if sender != nil && sender.backlog() == nil && sender.missed() > 0 && sender.endsWithGap() {
		p.fan.markSlow(sender.member) // notes where that begins
	}
	if p.nextGap == 0 {
		p.nextGap = p.fan.number + 1
		p.fan.gaps++
	}
	p.refused += n
	p.parted = false
	if sender != nil {
		sender.lost += n
	}
	for _, s := range p.slow {
		if s != sender && !s.member.closing() {
			s.lost += n
			b := s.backlog()
			b.over = b.over || s.endsWithGap()
			s.member.waiting().miss(b, n, tag)
		}
	}
}

// callOnGap reports what is missing. Until writeWaiting follows, what waits for m is
// not dropped any more, and nothing is written that was published behind the gap:
// what OnGap sends goes before it. On the loop, in an event of the connection.
func (m *Member) callOnGap() {
	if gaps := m.takeGaps(); len(gaps) > 0 {
		m.fan().hub.conns.CallOnGap(m.conn, gaps)
	}
}

// takeGaps returns what is missing, and counts it as reported.
func (m *Member) takeGaps() (gaps []Gap) {
	f := m.fan()
	var left []*part
	defer func() {
		for _, p := range left {
			f.prune(p)
		}
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	w := m.waiting()
	if w == nil {
		return nil
	}
	var rest []*backlog
	for _, b := range w.gapped {
		if b.over && b.live > 0 { // what is in front of the gap goes first
			rest = append(rest, b)
			continue
		}
		gaps = append(gaps, Gap{b.s.part.topic.name, b.missed % unknown, b.over, b.tag})
		b.missed, b.after, b.tag = 0, nil, nil
		if b.s.backlog() == b && b.over {
			f.leave(b.s)
			left = append(left, b.s.part)
		}
	}
	if len(gaps) > 0 {
		w.gapped, w.reporting = rest, f.number
	}
	return gaps
}

// refuse counts a publish that no subscriber gets, and that was not meant for
// sender. Under the fan's lock.
func (p *part) refuse(sender *subscription, msg *Message) {
	p.refusing = true
	p.lose(1, msg.Tag, sender)
}

// missed is how many messages s lost that OnGap was not called for. Under the
// fan's lock.
func (s *subscription) missed() uint64 {
	if b := s.backlog(); b != nil {
		return b.missed
	}
	return s.part.refused - s.lost
}

// noticeGap makes s one that OnGap is called for before it gets anything else, if
// publishes were refused behind what is in flight.
func (f *fan) noticeGap(s *subscription) {
	if s.part.gap == 0 { // only the flush changes it
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case s.backlog() != nil || s.missed() == 0:
	case !f.hub.conns.HasOnGap(s.member.conn) && !s.endsWithGap():
		s.lost, s.part.parted = s.part.refused, true
	default:
		f.slowed = append(f.slowed, s.member) // markSlow notes what is missing
	}
}

// endsWithGap reports whether the policy for s ends it where something is missing. Under the
// fan's lock.
func (s *subscription) endsWithGap() bool {
	s.member.conn.Lock()
	defer s.member.conn.Unlock()
	return s.rulesLocked().Policy == Unsubscribe
}
