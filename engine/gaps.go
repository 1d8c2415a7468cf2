package engine

// gap is messages that a subscriber lost.
type gap struct {
	s      *subscription
	missed uint64
}

// tellGaps tells OnGap what was dropped.
func (m *member) tellGaps() {
	gaps := m.gaps()
	fn := m.ws.callbacks.OnGap
	for _, g := range gaps {
		if fn != nil && m.ws.isOpen() {
			fn(m.ws, g.s.part.topic.name, g.missed)
		}
	}
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	for _, g := range gaps {
		if b := g.s.backlog; b != nil {
			b.missed, b.told = b.missed-b.told, 0 // only now: what OnGap sends goes before the backlog
		}
	}
}

func (m *member) gaps() (gaps []gap) {
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	for _, s := range m.subs {
		if b := s.backlog; b != nil && b.missed > 0 {
			b.told = b.missed
			gaps = append(gaps, gap{s, b.missed})
		}
	}
	return gaps
}

// refuse notes a publish that nobody gets, and that was not meant for sender.
// Under the fan's lock.
func (p *part) refuse(sender *subscription) {
	p.refused++
	p.untold = true
	if sender != nil {
		sender.lost++
	}
	for _, s := range p.slow {
		if s != sender {
			s.lost++
			s.backlog.missed++
		}
	}
}

// missed is how many messages were dropped that OnGap is still to be told of.
// Under the fan's lock.
func (s *subscription) missed() uint64 {
	if b := s.backlog; b != nil {
		return b.missed - b.told
	}
	return s.part.refused - s.lost
}

// dueBefore is the number of the last message that may go before OnGap is told
// of so many that were missed. Under the fan's lock.
func (p *part) dueBefore(missed uint64) uint64 {
	if p.gap && missed > 0 {
		return p.seq - uint64(len(p.pending)) // what was refused came before these
	}
	return p.seq
}

// tellLastGap tells OnGap what a subscription missed that ends. Under the fan's lock.
func (m *member) tellLastGap(topic string, missed uint64) {
	if missed == 0 {
		return
	}
	ws := m.ws
	_ = ws.Do(func() { // ended: nobody to tell
		if fn := ws.callbacks.OnGap; fn != nil && ws.isOpen() {
			fn(ws, topic, missed)
		}
	})
}

// tellRefused sees to it that the subscribers of p hear of refused publishes, before
// they get anything later. Those that are slow have it already: from refuse, or
// from markSlow. On the loop, under the fan's lock.
func (f *fan) tellRefused(p *part) {
	if !p.gap {
		return
	}
	for _, s := range p.subs {
		switch {
		case s.backlog != nil || s.missed() == 0:
		case s.member.ws.callbacks.OnGap == nil:
			s.lost = p.refused
		default:
			f.markSlow(s.member) // what was refused is in its backlog from the start
		}
	}
	p.gap = false
}
