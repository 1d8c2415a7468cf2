package fanout

import (
	"strings"
	"time"
)

// Batching has busy topics wait between their flushes. Immutable.
type Batching struct {
	// Prefixes begin the names of topics that wait. What follows the prefix is the name of
	// their group.
	Prefixes []string
	MaxDelay time.Duration
	SendCost time.Duration // 0: it is measured
}

// groupOf returns the name of the group of a topic, by the longest prefix; false if the topic
// never waits.
func (b *Batching) groupOf(topic string) (name string, ok bool) {
	length := -1
	for _, prefix := range b.Prefixes {
		if len(prefix) > length && strings.HasPrefix(topic, prefix) {
			length = len(prefix)
		}
	}
	if length < 0 {
		return "", false
	}
	return topic[length:], true
}

// group is the topics of one loop that are flushed together, mostly to the same
// subscribers. Guarded by the fan's lock, but for what is said.
type group struct {
	name  string // immutable
	parts int

	state   groupState
	waiting []*part       // have pending messages, and are due when the group is released
	began   time.Duration // its last flush
	delay   time.Duration // how long what is published right behind that waits, about

	cost  time.Duration // of the flush under way
	base  time.Duration // where the debt begins that the flush under way adds
	due   time.Duration // budget.paid at which the group has paid its flushes off
	place int           // in budget.debts; -1: it has no debt
}

// groupState says what becomes of messages of the group.
type groupState uint8

const (
	groupFree   groupState = iota // the next flush takes them
	groupFlying                   // the flush under way delivers earlier ones: they wait for its end
	groupHeld                     // they wait until the group is released
)

// joinGroup makes p a part of its group. Under the fan's lock, as all that follows.
func (f *fan) joinGroup(p *part) {
	if f.budget == nil {
		return
	}
	name, ok := f.budget.batching.groupOf(p.topic.name)
	if !ok {
		return
	}
	g := f.groups[name]
	if g == nil {
		g = &group{name: name, place: -1}
		f.groups[name] = g
	}
	g.parts++
	p.group = g
}

// leaveGroup undoes joinGroup, once, for a part without subscribers.
func (f *fan) leaveGroup(p *part) {
	g := p.group
	if g == nil {
		return
	}
	for i, w := range g.waiting {
		if w == p {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			f.enqueue(p) // its messages are for nobody
			break
		}
	}
	if g.parts--; g.parts == 0 {
		f.budget.forget(g)
		delete(f.groups, g.name)
	}
}

// holds has p, which has its first pending message, wait with its group, and reports whether
// it does.
func (f *fan) holds(p *part) bool {
	g := p.group
	if g == nil || g.state == groupFree || p.full() {
		return false
	}
	g.waiting = append(g.waiting, p)
	return true
}

// hasten makes what waits in the group of p due, if so much waits in p that more would gain
// nothing, or be refused.
func (f *fan) hasten(p *part) {
	if g := p.group; g != nil && len(g.waiting) > 0 && (p.full() || p.refusing) {
		f.release(g)
	}
}

// full reports whether what is pending is a batch already, or half of what may be pending.
func (p *part) full() bool {
	enough := coalesceTo
	if limit := p.slowRules().Limit; limit > 0 {
		enough = min(enough, limit/2)
	}
	return p.weight >= enough
}

// release makes what waits in g due. Whoever is held is no longer.
func (f *fan) release(g *group) {
	if g.state == groupHeld {
		f.budget.unhold(g)
		g.state = groupFree
	}
	for i, p := range g.waiting {
		f.enqueue(p)
		g.waiting[i] = nil
	}
	g.waiting = g.waiting[:0]
}

// depart notes that a flush of p begins, after the budget has advanced.
func (f *fan) depart(p *part) {
	g := p.group
	if g == nil || g.parts == 0 || g.state == groupFlying { // without parts p has no subscribers
		return
	}
	if g.state == groupHeld {
		f.budget.unhold(g)
	}
	g.state, g.began = groupFlying, f.loop.Now()
	f.budget.open(g)
	f.flushes.Add(1)
}

// arrive notes that the flush of p has ended.
func (f *fan) arrive(p *part) {
	if g := p.group; g != nil {
		f.flushed.Add(uint64(len(p.inflight)))
		g.cost += time.Duration(p.sends) * f.perSend
		p.sends = 0
	}
}

// settle charges the groups of parts, whose flush has ended, and holds those whose debt is
// large.
func (f *fan) settle(parts []*part) {
	for _, p := range parts {
		g := p.group
		if g == nil || g.state != groupFlying {
			continue
		}
		g.state = groupFree
		if f.budget.charge(g); g.delay > 0 {
			g.state = groupHeld
			f.budget.held = append(f.budget.held, g)
		} else {
			f.release(g)
		}
	}
	f.awaitHeld()
}

// awaitHeld sets the alarm of the loop for when a group may be released.
func (f *fan) awaitHeld() {
	if len(f.budget.held) > 0 {
		f.loop.SetAlarm(f.budget.next(), f.releaseHeld)
	}
}

// doReleaseHeld releases the groups that have waited long enough. On the loop, outside any
// event.
func (f *fan) doReleaseHeld() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.budget.advance(f.loop.Now())
	for i := len(f.budget.held) - 1; i >= 0; i-- { // release moves the last one to i
		if g := f.budget.held[i]; f.budget.over(g) {
			f.budget.forgive(g)
			f.release(g)
		}
	}
	f.awaitHeld()
}
