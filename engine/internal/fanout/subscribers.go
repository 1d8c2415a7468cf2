package fanout

import "github.com/fanloop-go/fanloop/loop"

// Forgotten reports whether t exists no more: find it anew. Any goroutine.
func (t *Topic) Forgotten() bool { return t.forgotten.Load() }

// Count returns the number of subscribers. Any goroutine.
func (t *Topic) Count() (n int) {
	for _, p := range *t.parts.Load() {
		p.fan.mu.Lock()
		n += p.count
		p.fan.mu.Unlock()
	}
	return n
}

// Subscribers returns the connections that subscribe to t. Any goroutine.
func (t *Topic) Subscribers() (all []*loop.Conn) {
	for _, p := range *t.parts.Load() {
		all = p.appendSubscribers(all)
	}
	return all
}

// appendSubscribers appends the connections that subscribe to p.
func (p *part) appendSubscribers(all []*loop.Conn) []*loop.Conn {
	p.fan.mu.Lock()
	defer p.fan.mu.Unlock()
	for m := range p.members() {
		if !m.closing() {
			all = append(all, m.conn)
		}
	}
	return all
}

// members are those of p, with the changes that wait for the end of a flush. Under the
// fan's lock.
func (p *part) members() map[*Member]bool {
	all := make(map[*Member]bool, p.count)
	for _, s := range p.subs {
		all[s.member] = true
	}
	for _, c := range p.fan.changes {
		if c.s.part == p && c.leave {
			delete(all, c.s.member)
		} else if c.s.part == p {
			all[c.s.member] = true
		}
	}
	return all
}

// Topics returns the names of the topics that m subscribes to. Any goroutine.
func (m *Member) Topics() []string {
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	names := make([]string, 0, m.count())
	for s := range m.subs {
		names = append(names, s.part.topic.name)
	}
	return names
}
