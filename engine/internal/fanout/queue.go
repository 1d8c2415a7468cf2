package fanout

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/loop"
)

// waiting is what waits for a slow member. Guarded by the fan's lock, but for what
// is said.
type waiting struct {
	m         *Member      // immutable
	held      atomic.Int64 // bytes in backlogs; written under the lock, read by anyone
	weight    int          // of what is in backlogs
	own       int          // memory of backlogs besides their messages
	backlogs  []*backlog   // by subscription.own
	queue     backlogHeap  // backlogs with messages, also of subscriptions that ended
	gapped    []*backlog   // backlogs that OnGap is to be called for
	reporting uint64       // OnGap is being called for what is missing up to this number; 0: it is not
}

// nothing reports whether nothing waits, neither for the connection nor for OnGap.
func (w *waiting) nothing() bool { return len(w.queue)+len(w.gapped) == 0 && w.reporting == 0 }

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
	b.missed = min(b.missed+n, unknown)
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
	w.queue, w.gapped, w.reporting = nil, nil, 0
}

// lose drops the messages that wait, for which OnGap is to be called, and returns how
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

// tally counts what changed in b. Under the fan's lock.
func (w *waiting) tally(b *backlog) {
	b.load.own = b.own()
	was, now := b.tallied, b.load
	if was == now {
		return
	}
	b.tallied = now
	l := w.m.fan().loop
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
	if w := m.waiting(); w != nil {
		w.discard()
	}
}
