package fanout

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/loop"
)

// backlogHeap is the backlogs of a member that have messages, the one with the
// oldest message first.
type backlogHeap []*backlog

// add adds b, whose messages are younger than those of all others.
func (h *backlogHeap) add(b *backlog) {
	b.place = int32(len(*h))
	*h = append(*h, b)
}

// removeFirst removes the first one.
func (h *backlogHeap) removeFirst() {
	last := int32(len(*h) - 1)
	h.swap(0, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	h.down(0)
}

// down restores the order after the backlog at i has lost its oldest messages.
func (h backlogHeap) down(i int32) {
	for n := int32(len(h)); ; {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if h[child].head() < h[first].head() {
				first = child
			}
		}
		if first == i {
			return
		}
		h.swap(i, first)
		i = first
	}
}

func (h backlogHeap) swap(i, j int32) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// waiting is what waits for a slow member. Guarded by the fan's lock, but for what
// is said.
type waiting struct {
	m      *Member      // immutable
	held   atomic.Int64 // bytes in backlogs; written under the lock, read by anyone
	weight int          // of what is in backlogs
	own    int          // memory of backlogs besides their messages
	queue  backlogHeap  // backlogs with messages, also of subscriptions that ended
	gapped []*backlog   // backlogs that OnGap is to be called for
	frozen uint64       // OnGap is being called for what is missing up to this number; 0: it is not
}

// nothing says whether nothing waits, neither for the connection nor for OnGap.
func (w *waiting) nothing() bool { return len(w.queue)+len(w.gapped) == 0 && w.frozen == 0 }

// push makes msg, the last one published, wait in b.
func (w *waiting) push(b *backlog, msg Message) {
	if b.live == 0 {
		w.queue.add(b)
	}
	b.push(msg)
	w.tally(b)
}

// replace makes msg wait in b in the place of an older one of its key, if there
// is one and room is left for what msg is larger.
func (w *waiting) replace(b *backlog, msg Message, room int) bool {
	if !b.replace(msg, room) {
		return false
	}
	w.queue.down(b.place)
	w.tally(b)
	return true
}

// displace makes msg wait in b in the place of the oldest ones, which weigh n or
// more together, and of which there are as many. It returns how many those were.
func (w *waiting) displace(b *backlog, msg Message, n int) (dropped uint64) {
	dropped = b.makeRoom(n)
	b.push(msg)
	w.queue.down(b.place)
	w.tally(b)
	w.miss(b, dropped, nil)
	return dropped
}

// pop takes the oldest message of all backlogs. There is one.
func (w *waiting) pop() Message {
	b := w.queue[0]
	msg := b.pop()
	w.tally(b)
	if b.live == 0 {
		w.queue.removeFirst()
	} else {
		w.queue.down(0)
	}
	return msg
}

// gapOf returns a backlog of the topic called name that OnGap is to be called for; nil if
// there is none.
func (w *waiting) gapOf(name string) *backlog {
	for _, b := range w.gapped {
		if b.s.part.topic.name == name {
			return b
		}
	}
	return nil
}

// miss notes n messages for b that are lost. tag is that of the first one.
func (w *waiting) miss(b *backlog, n uint64, tag any) {
	if n == 0 {
		return
	}
	if b.missed == 0 {
		w.gapped = append(w.gapped, b)
		b.tag = tag
	}
	b.missed += n
}

// discard forgets everything that waits.
func (w *waiting) discard() {
	for _, b := range w.queue {
		b.clear()
		w.tally(b)
	}
	for _, b := range w.gapped {
		b.missed = 0
	}
	w.queue, w.gapped, w.frozen = nil, nil, 0
}

// lose forgets the messages that wait, of which OnGap is to be told, and returns how
// many.
func (w *waiting) lose() (dropped uint64) {
	for _, b := range w.queue {
		n := uint64(b.live)
		b.clear()
		w.tally(b)
		w.miss(b, n, nil)
		dropped += n
	}
	w.queue = nil
	return dropped
}

// releaseLocked writes what waits, in the order in which it was published: all of
// it, or until the socket takes no more. It ends before a message that OnGap has
// to be called for first, and writes nothing while a fragmented message is under
// way (§5.4). Under the locks of the fan and the connection.
func (w *waiting) releaseLocked(all bool) {
	m := w.m
	if m.out.Fragments != 0 {
		return
	}
	for len(w.queue) > 0 && (all || !m.conn.BlockedLocked()) {
		if b := w.queue[0]; b.gapped() && b.head() > w.frozen {
			return
		}
		m.writeLocked(w.pop())
	}
}

// tally counts what changed in b. Under the fan's lock.
func (w *waiting) tally(b *backlog) {
	b.load.own = b.own()
	was, now := b.tallied, b.load
	if was == now {
		return
	}
	b.tallied = now
	l := w.m.fan.loop
	w.held.Add(int64(now.bytes - was.bytes))
	w.weight += now.weight - was.weight
	w.own += now.own - was.own
	l.CountQueued(now.bytes - was.bytes)
	l.Hold(loop.UseMessages, now.own-was.own)
	if now.weight > was.weight {
		l.Spent(0)
	}
}

// discard forgets everything that waits for m. Under the fan's lock.
func (m *Member) discard() {
	if w := m.slow.Load(); w != nil {
		w.discard()
	}
}

// Drained calls OnGap for a slow member and releases what waits for it, if its
// connection has sent everything. On the loop, inside an event of the connection.
func (m *Member) Drained() {
	if m.slow.Load() == nil || m.blocked() {
		return
	}
	m.callOnGap()
	m.release()
}

// blocked says whether something has to be sent before anything is released.
// OnNotify follows when it is.
func (m *Member) blocked() bool {
	m.conn.Lock()
	defer m.conn.Unlock()
	if m.out.Fragments != 0 {
		return true // its end notifies
	}
	if m.conn.QueuedLocked() == 0 {
		return false
	}
	m.conn.NotifyEmptyLocked()
	return true
}

// release writes what waits for m until the socket takes no more. When nothing
// is left, m is no longer slow.
func (m *Member) release() {
	f := m.fan
	f.mu.Lock()
	defer f.mu.Unlock()
	c := m.conn
	c.Lock()
	defer c.Unlock()
	w := m.slow.Load()
	w.releaseLocked(false)
	w.frozen = 0
	switch {
	case w.nothing():
		m.unmarkSlowLocked()
	case m.out.Fragments == 0: // otherwise the end of the message notifies
		c.NotifyEmptyLocked()
	}
}
