package mirror

import "time"

const (
	firstAsk = 500 * time.Millisecond
	lastAsk  = 8 * time.Second
)

// copied is what a watcher has of the values of another node.
type copied struct {
	sheet
	heard   time.Time
	theirs  int           // how many values the owner has
	askAt   time.Time     // runs while the copy is another than the owner's
	askPace time.Duration // between asking and asking again
}

// receive takes a delta of another node, or its digest.
func (t *Topic) receive(m *message, now time.Time) {
	if t.stopDeltas == nil {
		return
	}
	c := t.copies[m.from]
	if c == nil {
		c = &copied{}
		t.copies[m.from] = c
	}
	c.heard = now
	defer t.plan()
	if m.seq < c.seq || m.seq == c.seq && len(m.changes) > 0 {
		return // known, or overtaken
	}
	if len(m.changes) > 0 {
		c.seq = m.seq
		t.apply(m.from, c, m.changes)
	}
	t.compare(c, m, now)
}

func (t *Topic) apply(from ID, c *copied, changes []change) {
	for _, ch := range changes {
		old := c.set(ch.key, ch.value)
		if old != ch.value {
			c.tell(ch.key, old, ch.value)
			t.g.config.Change(t, from, ch.key, old, ch.value)
		}
	}
}

// compare compares a copy with what its owner says of all its values.
func (t *Topic) compare(c *copied, m *message, now time.Time) {
	c.theirs = m.n
	switch {
	case c.sum == m.sum && c.n == m.n:
		c.seq = m.seq
		c.askAt, c.askPace = time.Time{}, 0
	case c.askAt.IsZero():
		c.askAt, c.askPace = now, firstAsk
	}
}

// nextAsk returns when to ask the owner of a copy: soon if the copy is another than the
// owner's, later if the owner says nothing about values that the copy has.
func (c *copied) nextAsk() time.Time {
	if c.askAt.IsZero() && c.n > 0 {
		return c.heard.Add(quietFor)
	}
	return c.askAt
}

// ask asks the owner of a copy for what is different.
func (t *Topic) ask(owner ID, c *copied, now time.Time) {
	m := message{kind: kindAsk, topic: t.Name, buckets: bucketsFor(max(c.n, c.theirs))}
	if c.n > 0 {
		m.sums = c.sums(m.buckets)
	}
	t.g.send(t.g.inbox(owner), m)
	c.askPace = max(c.askPace, firstAsk)
	c.askAt = now.Add(jitter(c.askPace))
	c.askPace = min(2*c.askPace, lastAsk)
}

// answer sends the buckets that are different from what somebody asked about.
func (g *Group) answer(m *message, now time.Time) {
	t := g.topics[m.topic]
	if t == nil || t.stopWants == nil {
		g.seq++ // it has nothing any more
		g.send(g.inbox(m.from), message{kind: kindPart, topic: m.topic, seq: g.seq, buckets: 1, covers: []int{0}})
		return
	}
	t.wantedUntil = now.Add(wantedFor)
	t.flush(now, 0)
	defer t.plan()
	if m.sums == nil {
		m.sums = make([]uint64, m.buckets)
	}
	var different []int
	for i, sum := range t.own.sums(m.buckets) {
		if sum != m.sums[i] {
			different = append(different, i)
		}
	}
	t.sendParts(m.from, m.buckets, different)
}

// sendParts sends the values of some buckets.
func (t *Topic) sendParts(to ID, buckets int, covers []int) {
	contents := make([][]change, buckets)
	for key, value := range t.own.values {
		i := bucketOf(key, buckets)
		contents[i] = append(contents[i], change{key, value})
	}
	part := message{kind: kindPart, topic: t.Name, seq: t.own.seq, sum: t.own.sum, n: t.own.n, buckets: buckets}
	m, size := part, 0
	for i, bucket := range covers {
		m.covers = append(m.covers, bucket)
		m.changes = append(m.changes, contents[bucket]...)
		for _, c := range contents[bucket] {
			size += c.size()
		}
		if size >= partSize || i == len(covers)-1 {
			t.g.send(t.g.inbox(to), m)
			m, size = part, 0
		}
	}
}

// receivePart replaces what a copy has in some buckets.
func (t *Topic) receivePart(m *message, now time.Time) {
	c := t.copies[m.from]
	if c == nil || m.seq < c.seq {
		return // of before a delta that is there: it is asked again
	}
	defer t.plan()
	c.heard, c.seq = now, m.seq
	covered := make([]bool, m.buckets)
	for _, bucket := range m.covers {
		if bucket < m.buckets {
			covered[bucket] = true
		}
	}
	there := make(map[string]struct{}, len(m.changes))
	for _, ch := range m.changes {
		there[ch.key] = struct{}{}
	}
	var gone []change
	for key := range c.values {
		if _, kept := there[key]; !kept && covered[bucketOf(key, m.buckets)] {
			gone = append(gone, change{key, ""})
		}
	}
	t.apply(m.from, c, gone)
	t.apply(m.from, c, m.changes)
	t.compare(c, m, now)
}

// dropCopy takes away what another node has.
func (t *Topic) dropCopy(id ID) {
	c := t.copies[id]
	if c == nil {
		return
	}
	delete(t.copies, id)
	for key, old := range c.values {
		t.g.config.Change(t, id, key, old, "")
	}
}
