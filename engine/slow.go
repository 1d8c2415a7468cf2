package engine

import "time"

// SlowPolicy says what happens to a message for a subscriber whose queue is
// full.
type SlowPolicy uint8

const (
	// SlowClose closes the connection with 1013.
	SlowClose SlowPolicy = iota
	// SlowDropNewest drops the message.
	SlowDropNewest
	// SlowDropOldest drops the oldest message of the topic that waits.
	SlowDropOldest
	// SlowConflate keeps, of messages published with a key, the latest of each;
	// others are treated as by SlowDropNewest.
	SlowConflate
)

// Slow is a policy for subscribers that read more slowly than is published.
type Slow struct {
	Policy SlowPolicy
	// Limit is the most bytes that wait for one subscriber. Default:
	// Limits.MaxQueued of the server.
	Limit int
}

func (s Slow) withDefaults(e *endpoint) Slow {
	setDefault(&s.Limit, e.policy.Limit)
	return s
}

// topicRules are the settings of one topic.
type topicRules struct {
	slow  *Slow
	every time.Duration
}

// SetSlow replaces the server's policy for subscribers of this topic. It counts
// from the next publish on. Any goroutine.
func (t Topic) SetSlow(slow Slow) {
	t.change(func(r *topicRules) {
		slow = slow.withDefaults(t.server.endpoint)
		r.slow = &slow
	})
}

// FlushEvery delays what is published to this topic by up to d, to send more in
// fewer writes; 0 delays nothing. Any goroutine.
func (t Topic) FlushEvery(d time.Duration) {
	t.change(func(r *topicRules) { r.every = d })
}

// SetSlow replaces, for this connection, the policy of the server and of the
// topics it subscribes to. Any goroutine.
func (ws *WebSocket) SetSlow(slow Slow) {
	slow = slow.withDefaults(ws.endpoint)
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().slow = &slow
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

// decide settles what a slow subscriber gets of msg, the message number
// part.seq. It is up to date. Under the fan's lock.
func (f *fan) decide(s *subscription, msg message, d *Delivery) {
	ws := s.member.ws
	c := &ws.conn
	c.Lock()
	rules := s.part.slowRules()
	if x := ws.extras; x != nil && x.slow != nil {
		rules = x.slow
	}
	fits := rules.Limit <= 0 || c.QueuedLocked()+s.waiting()+msg.frame.Len() <= rules.Limit
	s.seq = s.part.seq
	var end bool
	switch keep := rules.Policy == SlowDropOldest || rules.Policy == SlowConflate; {
	case rules.Policy == SlowConflate && msg.keyed && s.backlogged().replace(msg):
		d.Conflated++
		f.hub.conflated.Add(1)
	case fits && (keep || s.waiting() > 0):
		s.backlogged().push(msg)
		d.Queued++
	case fits:
		_ = c.WriteSharedLocked(msg.frame, true) // closing: it counts as on its way
		d.Queued++
	case rules.Policy == SlowDropOldest && s.backlogged().makeRoom(msg, rules.Limit-c.QueuedLocked()):
		s.backlog.push(msg)
		d.Conflated++
		f.hub.conflated.Add(1)
	case rules.Policy == SlowClose:
		d.Closed++
		f.hub.closed.Add(1)
		end = true
	default:
		s.backlogged().missed++
		d.Dropped++
		f.hub.dropped.Add(1)
	}
	c.Unlock()
	if end {
		f.retire(s.member)
		ws.shed()
	}
}

// shed closes the connection of a slow subscriber. Its queue is full, so the
// close frame may come too late: CloseTimeout decides.
func (ws *WebSocket) shed() {
	ws.conn.Lock()
	first := ws.sendCloseLocked(StatusTryAgainLater, "too slow for what is published")
	if x := ws.extrasLocked(); first && x.err == nil {
		x.err = ErrSlow
	}
	ws.conn.Unlock()
	if first {
		ws.conn.Notify()
	}
}

// backlog is what waits for a slow subscriber outside the queue of its
// connection, where it can still be dropped or replaced. Guarded by the fan's
// lock.
type backlog struct {
	msgs   []message
	bytes  int
	missed uint64 // dropped since OnGap was told
}

func (s *subscription) backlogged() *backlog {
	if s.backlog == nil {
		s.backlog = new(backlog)
	}
	return s.backlog
}

// waiting is the bytes in the backlog.
func (s *subscription) waiting() int {
	if s.backlog == nil {
		return 0
	}
	return s.backlog.bytes
}

func (b *backlog) push(msg message) {
	b.msgs = append(b.msgs, msg)
	b.bytes += msg.frame.Len()
}

// replace puts msg where an older one of its key waits, if one does.
func (b *backlog) replace(msg message) bool {
	for i := range b.msgs {
		if b.msgs[i].keyed && b.msgs[i].key == msg.key {
			b.bytes += msg.frame.Len() - b.msgs[i].frame.Len()
			b.msgs[i] = msg
			return true
		}
	}
	return false
}

// makeRoom drops the oldest until msg fits in limit bytes; false, and nothing
// dropped, if that cannot be.
func (b *backlog) makeRoom(msg message, limit int) bool {
	room, n := limit-b.bytes, 0
	for n < len(b.msgs) && room < msg.frame.Len() {
		room += b.msgs[n].frame.Len()
		n++
	}
	if room < msg.frame.Len() {
		return false
	}
	for i := range n {
		b.bytes -= b.msgs[i].frame.Len()
		b.msgs[i] = message{}
	}
	b.msgs = b.msgs[n:]
	b.missed += uint64(n)
	return true
}

// markSlow makes every subscription of m get its messages one by one, by
// policy, until its connection has drained. Under the fan's lock.
func (f *fan) markSlow(m *member) {
	c := &m.ws.conn
	c.Lock()
	c.ArmDrainLocked()
	c.Unlock()
	for _, s := range m.subs {
		if s.slowAt != 0 || s.retired {
			continue
		}
		f.catchUp(s) // or what is pending would be overtaken
		s.part.slow = append(s.part.slow, s)
		s.slowAt = int32(len(s.part.slow))
	}
}

// unslow undoes markSlow for one subscription. Under the fan's lock.
func (f *fan) unslow(s *subscription) {
	if s.slowAt == 0 {
		return
	}
	slow := s.part.slow
	last := len(slow) - 1
	slow[s.slowAt-1] = slow[last]
	slow[last].slowAt, s.slowAt = s.slowAt, 0
	slow[last] = nil
	s.part.slow = slow[:last]
	s.backlog = nil
}

// retire stops counting the subscriptions of m. Under the fan's lock.
func (f *fan) retire(m *member) {
	m.gone = true
	for _, s := range m.subs {
		if !s.retired {
			s.retired = true
			s.part.count--
		}
	}
}

// drained goes on with a slow subscriber whose queue has fallen. On the loop,
// inside an event of the connection.
func (m *member) drained() {
	for _, gap := range m.takeGaps() {
		if fn := m.ws.callbacks.OnGap; fn != nil {
			fn(m.ws, gap.topic, gap.dropped)
		}
	}
	f := m.fan
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(m.subs) - 1; i >= 0; i-- {
		if s := m.subs[i]; s.slowAt != 0 && s.release() {
			f.unslow(s)
		}
	}
}

// gap is how many messages of a topic a subscriber lost.
type gap struct {
	topic   string
	dropped uint64
}

func (m *member) takeGaps() (gaps []gap) {
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	for _, s := range m.subs {
		if b := s.backlog; b != nil && b.missed > 0 {
			gaps = append(gaps, gap{s.part.topic.name, b.missed})
			b.missed = 0
		}
	}
	return gaps
}

// release writes the backlog until the socket takes no more; it says whether
// nothing is left. Under the fan's lock.
func (s *subscription) release() bool {
	c := &s.member.ws.conn
	c.Lock()
	defer c.Unlock()
	b := s.backlog
	for b != nil && len(b.msgs) > 0 && !c.BlockedLocked() {
		msg := b.msgs[0]
		b.msgs[0] = message{}
		b.msgs = b.msgs[1:]
		b.bytes -= msg.frame.Len()
		if s.member.ws.state.Load() == stateOpen {
			_ = c.WriteSharedLocked(msg.frame, true) // closing: nobody to tell
		}
	}
	if c.BlockedLocked() {
		c.ArmDrainLocked()
		return false
	}
	return b == nil || b.missed == 0
}
