package engine

// gap is messages of one topic that a member lost.
type gap struct {
	topic  string
	missed uint64
}

// callOnGap reports what is missing. Until release follows, what waits for m is
// not dropped any more, and nothing is written that was published behind the gap:
// what OnGap sends goes before it. On the loop, in an event of the connection.
func (m *member) callOnGap() {
	ws := m.ws
	gaps := m.takeGaps()
	if len(gaps) == 0 || ws.callbacks.OnGap == nil {
		return
	}
	ws.setInOnGap(true)
	defer ws.setInOnGap(false)
	for _, g := range gaps {
		if ws.out.MayWrite() {
			ws.callGap(g.topic, g.missed)
		}
	}
}

// takeGaps returns what is missing, and counts it as reported.
func (m *member) takeGaps() (gaps []gap) {
	f := m.fan
	f.mu.Lock()
	defer f.mu.Unlock()
	w := m.slow.Load()
	if w == nil {
		return nil
	}
	for _, b := range w.gapped {
		gaps = append(gaps, gap{b.s.part.topic.name, b.missed})
		b.missed = 0
	}
	if len(gaps) > 0 {
		w.gapped, w.frozen = nil, f.number
	}
	return gaps
}

// refuse counts a publish that no subscriber gets, and that was not meant for
// sender.
// Under the fan's lock.
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
