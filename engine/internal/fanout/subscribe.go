package fanout

import "github.com/fanloop-go/fanloop/loop"

// Subscribe makes m a subscriber of the topic, which gets what that retains first. It
// returns loop.ErrClosed after the end, and loop.ErrBackpressure where there is no room
// for what is retained. Any goroutine that holds no lock.
func (h *Hub) Subscribe(m *Member, topic string) error {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	if m.closing() {
		return loop.ErrClosed
	}
	if m.find(topic) != nil {
		return nil
	}
	return sh.subscribe(m, topic)
}

// Resubscribe is Subscribe that gives m what the topic retains again if it subscribes
// already: behind all that was published before, and before all that follows. Any
// goroutine that holds no lock.
func (h *Hub) Resubscribe(m *Member, topic string) error {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	if m.closing() {
		return loop.ErrClosed
	}
	s := m.find(topic)
	if s == nil {
		return sh.subscribe(m, topic)
	}
	m.fan().noticeGaps(m) // OnGap is called before it gets the rest
	kept := sh.kept(topic)
	if err := m.fan().admitRetained(m, kept); err != nil {
		return err
	}
	if b := s.backlog(); b != nil && b.over { // its end only waits to be reported
		sh.unsubscribe(s)
		return sh.subscribe(m, topic)
	}
	m.fan().deliverRetained(s, kept)
	return nil
}

// subscribe is Subscribe of m, which does not subscribe yet. Under the shard's and the
// fan's lock.
func (sh *shard) subscribe(m *Member, topic string) error {
	kept := sh.kept(topic)
	if err := m.fan().admitRetained(m, kept); err != nil {
		return err
	}
	m.fan().deliverRetained(m.fan().join(m, sh.part(topic, m.fan())), kept)
	return nil
}

// kept returns what the topic retains. Under the shard's lock.
func (sh *shard) kept(topic string) []*Message {
	if t := sh.topics[topic]; t != nil && t.retained != nil {
		return t.retained.list()
	}
	return nil
}

// Unsubscribe undoes Subscribe. What was published before is still delivered. Any
// goroutine that holds no lock.
func (h *Hub) Unsubscribe(m *Member, topic string) {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	if s := m.find(topic); s != nil {
		sh.unsubscribe(s)
	}
}

// unsubscribe ends s. Under the shard's and the fan's lock.
func (sh *shard) unsubscribe(s *subscription) {
	f := s.part.fan
	f.catchUp(s.member)
	if s.missed() > 0 {
		f.markSlow(s.member) // OnGap is to be called
	}
	f.leave(s)
	sh.prune(s.part)
}
