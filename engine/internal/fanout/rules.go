package fanout

import (
	"time"
)

// Rules are the settings of one topic. Immutable; the zero value is none.
type Rules struct {
	Slow       *Slow         // nil: the server's
	FlushEvery time.Duration // 0: no delay
}

// Change edits the rules of the topic called name. Any goroutine.
func (h *Hub) Change(name string, edit func(*Rules)) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.topic(name)
	defer sh.forget(t)
	var rules Rules
	if t.rules != nil {
		rules = *t.rules
	}
	every := rules.FlushEvery
	edit(&rules)
	t.rules = &rules
	if rules == (Rules{}) {
		t.rules = nil
	}
	for _, p := range *t.parts.Load() {
		p.setRules(t.rules, rules.FlushEvery != every)
	}
}

// setRules replaces the settings of p; delay says that FlushEvery is another.
func (p *part) setRules(rules *Rules, delay bool) {
	p.fan.mu.Lock()
	defer p.fan.mu.Unlock()
	p.rules = rules
	if delay {
		p.fan.reschedule(p)
	}
}

// slowRules returns the policy for subscribers of p that have none of their
// own. Under the fan's lock.
func (p *part) slowRules() *Slow {
	if p.rules != nil && p.rules.Slow != nil {
		return p.rules.Slow
	}
	return &p.fan.slow
}
