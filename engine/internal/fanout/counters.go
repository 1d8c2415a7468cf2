package fanout

import "time"

// IsSlow reports whether policies decide what m gets. Any goroutine.
func (m *Member) IsSlow() bool { return m.waiting() != nil }

// Waiting returns how many bytes of messages wait for m besides what is queued for its
// connection. Any goroutine.
func (m *Member) Waiting() int {
	if w := m.waiting(); w != nil {
		return int(w.held.Load())
	}
	return 0
}

// Holds returns what m holds for messages that wait: memory of its own, and what it
// shares with others. Any goroutine that holds no lock.
func (m *Member) Holds() (own, shared int) {
	if !m.IsSlow() {
		return 0, 0
	}
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	if w := m.waiting(); w != nil {
		return w.own, w.weight
	}
	return 0, 0
}

// Lost returns how many messages subscribers missed, and how many were replaced by later
// ones of their key. Any goroutine.
func (h *Hub) Lost() (dropped, conflated uint64) { return h.dropped.Load(), h.conflated.Load() }

// Behind returns what the messages weigh that wait for a loop, if it is much. Any
// goroutine.
func (h *Hub) Behind(loop int) int { return int(h.fans[loop].behind.Load()) }

// Size returns the memory that subscriptions of a loop take. Any goroutine.
func (h *Hub) Size(loop int) int { return h.fans[loop].size() }

// Left counts what the topics consist of. It walks all of them. Any goroutine that holds no
// lock.
func (h *Hub) Left() (topics, parts, subs, slow int) {
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.RLock()
		for _, t := range sh.topics {
			topics++
			for _, p := range *t.parts.Load() {
				parts++
				p.fan.mu.Lock()
				subs += len(p.subs)
				slow += len(p.slow)
				p.fan.mu.Unlock()
			}
		}
		sh.mu.RUnlock()
	}
	return topics, parts, subs, slow
}

// Batches is what became of the topics of groups on one loop.
type Batches struct {
	Flushes, Messages uint64
	Delay             time.Duration // the longest one at the moment
}

// Batches returns that of a loop. Any goroutine that holds no lock.
func (h *Hub) Batches(loop int) Batches {
	f := h.fans[loop]
	b := Batches{Flushes: f.flushes.Load(), Messages: f.flushed.Load()}
	if f.budget == nil {
		return b
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.budget.held {
		b.Delay = max(b.Delay, g.delay)
	}
	return b
}

// Delay returns how long what is published to t waits at most, about, on the loop where that
// is longest. Any goroutine that holds no lock.
func (t *Topic) Delay() (delay time.Duration) {
	for _, p := range *t.parts.Load() {
		if g := p.group; g != nil {
			p.fan.mu.Lock()
			if g.state != groupFree {
				delay = max(delay, g.delay)
			}
			p.fan.mu.Unlock()
		}
	}
	return delay
}
