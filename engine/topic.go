package engine

import (
	"sync/atomic"
	"time"
)

// Topic is a handle to the topic called name, whether it has subscribers or not. It
// looks the topic up once while that lives, so keep the handle of a topic that you
// publish to often. Any goroutine.
type Topic struct {
	// Immutable.
	server *Server
	name   string

	known atomic.Pointer[topic] // what was found last; it may be forgotten by now
}

// topicRules are the settings of one topic. Immutable; the zero value is none.
type topicRules struct {
	slow  *Slow         // nil: the server's
	every time.Duration // 0: no delay
}

// Topic returns a handle to the topic called name. Any goroutine.
func (s *Server) Topic(name string) *Topic { return &Topic{server: s, name: name} }

// Name returns the name of the topic.
func (t *Topic) Name() string { return t.name }

// Publish is Server.Publish to this topic. Where the handle knows the topic, it does
// without the look-up and its lock.
func (t *Topic) Publish(m Message) (Delivery, error) {
	if m.Retain || !t.server.up.Load() {
		return t.server.Publish(t.name, m)
	}
	if err := m.check(); err != nil {
		return Delivery{}, err
	}
	top := t.find()
	if top == nil {
		return Delivery{}, nil
	}
	return t.server.settings.hub.publishTo(top, m, nil)
}

// find returns the topic, nil if it does not exist. Whoever subscribed before the
// call is seen: a topic is marked as forgotten before its name can belong to another.
func (t *Topic) find() *topic {
	if top := t.known.Load(); top != nil && !top.forgotten.Load() {
		return top
	}
	top := t.server.settings.hub.find(t.name)
	t.known.Store(top)
	return top
}

// Subscribers returns the number of subscribers. Any goroutine.
func (t *Topic) Subscribers() (n int) {
	for _, p := range t.parts() {
		p.fan.mu.Lock()
		n += p.count
		p.fan.mu.Unlock()
	}
	return n
}

// parts returns the parts of the topic; none if it does not exist.
func (t *Topic) parts() []*part {
	if !t.server.up.Load() {
		return nil
	}
	if top := t.find(); top != nil {
		return *top.parts.Load()
	}
	return nil
}

// Each runs fn for every open subscriber of the topic, as Server.Each does: on the loop
// of each, as WebSocket.Do. It does not wait. A connection that subscribes or leaves
// meanwhile may be seen or not. Any goroutine.
func (t *Topic) Each(fn func(ws *WebSocket)) {
	for _, p := range t.parts() {
		for _, ws := range p.subscribers() {
			_ = ws.conn.Do(func() { // ended meanwhile: not open any more
				if ws.out.IsOpen() {
					callEach(fn, ws)
				}
			})
		}
	}
}

// subscribers returns the connections that subscribe to p.
func (p *part) subscribers() (all []*WebSocket) {
	p.fan.mu.Lock()
	defer p.fan.mu.Unlock()
	for m := range p.members() {
		if !m.gone {
			all = append(all, m.ws)
		}
	}
	return all
}

// members are those of p, with the changes that wait for the end of a flush. Under the
// fan's lock.
func (p *part) members() map[*member]bool {
	all := make(map[*member]bool, p.count)
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

// Topics returns the names of the topics that the connection subscribes to, in no
// special order. Any goroutine.
func (ws *WebSocket) Topics() []string {
	m := ws.member.Load()
	if m == nil {
		return nil
	}
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	names := make([]string, 0, len(m.subs))
	for _, s := range m.subs {
		names = append(names, s.part.topic.name)
	}
	return names
}

// SetSlow replaces the server's policy for subscribers of this topic, from the
// next publish on. The zero Slow undoes that; set Limit too where SlowClose
// replaces another policy of the server. The setting is kept while the topic has
// no subscribers. The error is an *OptionError if slow cannot be meant. Any
// goroutine.
func (t *Topic) SetSlow(slow Slow) error {
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
func (t *Topic) FlushEvery(d time.Duration) {
	t.change(func(r *topicRules) { r.every = max(d, 0) })
}

// change edits the settings of the topic.
func (t *Topic) change(edit func(*topicRules)) {
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
	for _, p := range *top.parts.Load() {
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
