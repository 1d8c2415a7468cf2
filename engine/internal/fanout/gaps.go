package fanout

// Gap is messages of one topic that a member lost.
type Gap struct {
	Topic  string
	Missed uint64
}

// callOnGap reports what is missing. Until release follows, what waits for m is
// not dropped any more, and nothing is written that was published behind the gap:
// what OnGap sends goes before it. On the loop, in an event of the connection.
func (m *Member) callOnGap() {
	if gaps := m.takeGaps(); len(gaps) > 0 {
		m.fan.hub.conns.CallOnGap(m.conn, gaps)
	}
}

// takeGaps returns what is missing, and counts it as reported.
func (m *Member) takeGaps() (gaps []Gap) {
	f := m.fan
	f.mu.Lock()
	defer f.mu.Unlock()
	w := m.slow.Load()
	if w == nil {
		return nil
	}
	for _, b := range w.gapped {
		gaps = append(gaps, Gap{b.s.part.topic.name, b.missed})
		b.missed, b.after = 0, nil
	}
	if len(gaps) > 0 {
		w.gapped, w.frozen = nil, f.number
	}
	return gaps
}

// refuse counts a publish that no subscriber gets, and that was not meant for
// sender. Under the fan's lock.
func (p *part) refuse(sender *subscription) {
	p.refused++
	p.refusing = true
	if sender != nil {
		sender.lost++
	}
	for _, s := range p.slow {
		if s != sender && !s.member.gone {
			s.lost++
			s.member.slow.Load().miss(s.backlog, 1)
		}
	}
}

// missed is how many messages s lost that OnGap was not called for. Under the
// fan's lock.
func (s *subscription) missed() uint64 {
	if b := s.backlog; b != nil {
		return b.missed
	}
	return s.part.refused - s.lost
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
	case !f.hub.conns.HasOnGap(s.member.conn):
		s.lost = s.part.refused
	default:
		f.slowed = append(f.slowed, s.member) // markSlow notes what is missing
	}
}
