package mirror

import (
	mathrand "math/rand/v2"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

const (
	// firstPace and lastPace are the times between digests, and between wants, right
	// after a change and when nothing happens.
	firstPace = time.Second
	lastPace  = 30 * time.Second
	// wantedFor is how long an owner sends after the last want, and how long a copy
	// stays of which nothing is heard: three times what is usual.
	wantedFor = 100 * time.Second
	// quietFor is the silence after which a watcher asks the owner of a copy. An owner
	// that has values sends a digest sooner, but one that gave up its last value and
	// could not say so, because it was cut off, sends nothing any more.
	quietFor = 45 * time.Second
	// linger is how long a topic stays that has neither values nor watchers.
	linger = 30 * time.Second
	// partSize is the size of a message, about.
	partSize = 32 << 10
)

// Topic is what a Group knows of one topic. All of it is guarded by the Group's
// mutex.
type Topic struct {
	Name string // immutable
	Data any    // of the user of the Group

	g    *Group
	task Task // at the first of all times below

	// What this node has.
	own         sheet             // seq, sum and n as told
	changed     map[string]string // what was told of keys that have another value now
	stopWants   func()            // nil: it has nothing
	wantedUntil time.Time
	flushAt     time.Time
	digestAt    time.Time
	digestPace  time.Duration
	endAt       time.Time // runs while it has nothing

	// What it watches.
	watchers   int
	stopDeltas func() // nil: it does not watch
	copies     map[ID]*copied
	wantAt     time.Time
	wantPace   time.Duration
	leaveAt    time.Time // runs while there are no watchers
}

// topic returns a topic, which has to be planned.
func (g *Group) topic(name string) *Topic {
	t := g.topics[name]
	if t == nil {
		t = &Topic{Name: name, g: g}
		t.task.Do = t.work
		g.topics[name] = t
	}
	return t
}

// Own returns this node's value for a key; none is empty.
func (g *Group) Own(topic, key string) string {
	if t := g.topics[topic]; t != nil {
		return t.own.values[key]
	}
	return ""
}

// Size returns how many values this node has of a topic.
func (g *Group) Size(topic string) int {
	if t := g.topics[topic]; t != nil {
		return len(t.own.values)
	}
	return 0
}

// Put changes this node's value for a key; an empty one takes it away.
func (g *Group) Put(topic, key, value string) error {
	if g.closed {
		return cluster.ErrClosed
	}
	t := g.topic(topic)
	defer t.plan()
	now := time.Now()
	if t.stopWants == nil {
		if value == "" {
			return nil
		}
		stop, err := g.bus.Listen(g.wants(topic), receiver{g, t})
		if err != nil {
			return err
		}
		t.stopWants = stop
		t.wantedUntil = now.Add(wantedFor) // who watches already says so within that
	}
	t.put(key, value, now)
	return nil
}

func (t *Topic) put(key, value string, now time.Time) {
	old := t.own.set(key, value)
	if old == value {
		return
	}
	told, known := t.changed[key]
	switch {
	case known && told == value:
		delete(t.changed, key)
	case known:
	case t.changed == nil:
		t.changed = map[string]string{key: old}
	default:
		t.changed[key] = old
	}
	if t.flushAt.IsZero() && now.Before(t.wantedUntil) {
		t.flushAt = now.Add(t.g.config.Flush)
	}
	t.endAt = time.Time{}
	if len(t.own.values) == 0 {
		t.endAt = now.Add(linger)
	}
	t.g.config.Change(t, t.g.id, key, old, value)
}

// Watch has the topic mirrored here until Unwatch, and for a while longer.
func (g *Group) Watch(topic string) (*Topic, error) {
	if g.closed {
		return nil, cluster.ErrClosed
	}
	t := g.topic(topic)
	defer t.plan()
	if t.stopDeltas == nil {
		stop, err := g.bus.Listen(g.deltas(topic), receiver{g, t})
		if err != nil {
			return nil, err
		}
		t.stopDeltas = stop
		t.copies = make(map[ID]*copied)
		t.wantPace, t.wantAt = firstPace, time.Now()
	}
	t.watchers++
	t.leaveAt = time.Time{}
	return t, nil
}

// Unwatch ends one Watch.
func (t *Topic) Unwatch() {
	t.watchers--
	if t.watchers == 0 {
		t.leaveAt = time.Now().Add(linger)
	}
	t.plan()
}

// work does what is due.
func (t *Topic) work(now time.Time) {
	if due(t.flushAt, now) {
		t.flush(now, t.g.config.Most)
	}
	if due(t.digestAt, now) {
		t.digest(now)
	}
	if due(t.endAt, now) {
		t.disown(now)
	}
	if due(t.wantAt, now) {
		t.want(now)
	}
	for id, c := range t.copies {
		if due(c.nextAsk(), now) {
			t.ask(id, c, now)
		}
		if now.Sub(c.heard) > wantedFor {
			t.dropCopy(id)
		}
	}
	if due(t.leaveAt, now) {
		t.leave()
	}
	t.plan()
}

// plan makes the task due, or forgets the topic.
func (t *Topic) plan() {
	if t.stopWants == nil && t.stopDeltas == nil {
		t.g.At(&t.task, time.Time{})
		delete(t.g.topics, t.Name)
		return
	}
	next := sooner(sooner(t.flushAt, t.digestAt), sooner(t.endAt, t.wantAt))
	next = sooner(next, t.leaveAt)
	for _, c := range t.copies {
		next = sooner(sooner(next, c.nextAsk()), c.heard.Add(wantedFor+time.Second))
	}
	t.g.At(&t.task, next)
}

// flush sends what changed, most values at most, or all if that is 0, in as many
// deltas as it needs, if somebody wants it.
func (t *Topic) flush(now time.Time, most int) {
	t.flushAt = time.Time{}
	if len(t.changed) == 0 {
		return
	}
	wanted := now.Before(t.wantedUntil)
	if most == 0 || !wanted {
		most = len(t.changed)
	}
	var changes []change
	size := 0
	for key, told := range t.changed {
		if most--; most < 0 {
			t.flushAt = now.Add(t.g.config.Flush)
			break
		}
		value := t.own.values[key]
		t.own.tell(key, told, value)
		delete(t.changed, key)
		changes = append(changes, change{key, value})
		if size += changes[len(changes)-1].size(); size >= partSize {
			t.sendDelta(wanted, changes)
			changes, size = nil, 0
		}
	}
	if len(changes) > 0 {
		t.sendDelta(wanted, changes)
	}
	if len(t.changed) == 0 {
		t.changed = nil // a map does not shrink
	}
	if wanted {
		t.digestPace = max(firstPace, 2*t.g.config.Flush) // what changes on needs none
		t.digestAt = now.Add(jitter(t.digestPace))
	}
}

func (t *Topic) sendDelta(wanted bool, changes []change) {
	t.g.seq++
	t.own.seq = t.g.seq
	if wanted {
		t.g.send(t.g.deltas(t.Name), message{kind: kindDelta, seq: t.own.seq, sum: t.own.sum, n: t.own.n, changes: changes})
	}
}

// digest sends the sum of what this node has, and more rarely each time.
func (t *Topic) digest(now time.Time) {
	t.digestAt = time.Time{}
	if !now.Before(t.wantedUntil) {
		return
	}
	pace := t.digestPace
	if t.own.seq == 0 {
		t.flush(now, t.g.config.Most)
	}
	t.g.send(t.g.deltas(t.Name), message{kind: kindDelta, seq: t.own.seq, sum: t.own.sum, n: t.own.n})
	t.digestAt = now.Add(jitter(pace))
	t.digestPace = min(2*pace, lastPace)
}

// wanted notes that somebody wants to know what this node has.
func (t *Topic) wanted(now time.Time, soon bool) {
	if t.stopWants == nil {
		return
	}
	if soon || !now.Before(t.wantedUntil) {
		t.digestPace = firstPace
		t.digestAt = sooner(t.digestAt, now.Add(mathrand.N(50*time.Millisecond))) // once for all who ask now
	}
	t.wantedUntil = now.Add(wantedFor)
	if len(t.changed) > 0 && t.flushAt.IsZero() {
		t.flushAt = now
	}
	t.plan()
}

// disown ends what this node has, when it has had nothing for a while.
func (t *Topic) disown(now time.Time) {
	t.flush(now, 0)
	t.stopWants()
	t.stopWants = nil
	t.own = sheet{}
	t.endAt, t.digestAt, t.flushAt = time.Time{}, time.Time{}, time.Time{}
}

// want asks all who have something of the topic to tell, and more rarely each time.
func (t *Topic) want(now time.Time) {
	t.g.send(t.g.wants(t.Name), message{kind: kindWant, soon: t.wantPace < 8*firstPace})
	t.wantAt = now.Add(jitter(t.wantPace))
	t.wantPace = min(2*t.wantPace, lastPace)
}

// wantSoon asks again as in the beginning.
func (t *Topic) wantSoon(now time.Time) {
	if t.stopDeltas == nil {
		return
	}
	t.wantPace = firstPace
	t.wantAt = sooner(t.wantAt, now.Add(mathrand.N(time.Second))) // not all topics at once
	t.plan()
}

// leave ends watching, when nobody has for a while.
func (t *Topic) leave() {
	t.stopDeltas()
	t.stopDeltas = nil
	for id := range t.copies {
		t.dropCopy(id)
	}
	t.leaveAt, t.wantAt = time.Time{}, time.Time{}
}

func (t *Topic) stopAll() {
	if t.stopWants != nil {
		t.stopWants()
	}
	if t.stopDeltas != nil {
		t.stopDeltas()
	}
}
