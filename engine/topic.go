package engine

import "time"

// Topic is a handle to the topic called name, whether it has subscribers or
// not.
type Topic struct {
	server *Server
	name   string
}

// topicRules are the settings of one topic. Immutable; the zero value is none.
type topicRules struct {
	slow  *Slow         // nil: the server's
	every time.Duration // 0: no delay
}

// Topic returns a handle to the topic called name. Any goroutine.
func (s *Server) Topic(name string) Topic { return Topic{server: s, name: name} }

// Publish is Server.Publish to this topic.
func (t Topic) Publish(m Message) (Delivery, error) { return t.server.Publish(t.name, m) }

// Subscribers returns the number of subscribers. Any goroutine.
func (t Topic) Subscribers() int {
	if !t.server.up.Load() {
		return 0
	}
	sh := t.server.settings.hub.shard(t.name)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n := 0
	if t := sh.topics[t.name]; t != nil {
		for _, p := range t.parts {
			p.fan.mu.Lock()
			n += p.count
			p.fan.mu.Unlock()
		}
	}
	return n
}

// SetSlow replaces the server's policy for subscribers of this topic, from the
// next publish on. The zero Slow undoes that; set Limit too where SlowClose
// replaces another policy of the server. The setting is kept while the topic has
// no subscribers. The error is an *OptionError if slow cannot be meant. Any
// goroutine.
func (t Topic) SetSlow(slow Slow) error {
	if err := t.server.started(); err != nil {
		return err
	}
	if err := slow.validate(t.server.settings); err != nil {
		return err
	}
	t.change(func(r *topicRules) { r.slow = slow.override(t.server.settings) })
	return nil
}

// FlushEvery delays what is published to this topic by up to d, to send more in
// fewer writes. A connection gets it sooner where something else is sent to it
// that was published or sent later. 0 undoes the setting; a change counts for what
// waits already, from now on. The setting is kept while the topic has no
// subscribers. Any goroutine.
func (t Topic) FlushEvery(d time.Duration) {
	t.change(func(r *topicRules) { r.every = max(d, 0) })
}

// change edits the settings of the topic.
func (t Topic) change(edit func(*topicRules)) {
	if t.server.started() != nil {
		return
	}
	sh := t.server.settings.hub.shard(t.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	top := sh.topic(t.name)
	defer sh.forget(top)
	var rules topicRules
	if top.rules != nil {
		rules = *top.rules
	}
	every := rules.every
	edit(&rules)
	top.rules = &rules
	if rules == (topicRules{}) {
		top.rules = nil
	}
	for _, p := range top.parts {
		p.setRules(top.rules, rules.every != every)
	}
}

// setRules replaces the settings of p; delay says that FlushEvery is another.
func (p *part) setRules(rules *topicRules, delay bool) {
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
	if p.rules != nil && p.rules.slow != nil {
		return p.rules.slow
	}
	return &p.fan.slow
}

// flushEvery is the delay of the topic. Under the fan's lock.
func (p *part) flushEvery() time.Duration {
	if p.rules == nil {
		return 0
	}
	return p.rules.every
}
