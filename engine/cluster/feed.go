package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// feed is one topic on one node: the chain of its messages and who reads it.
//
// Live messages that follow the end of the chain are appended at once. One that
// does not, a gap and the check from time to time start a round (round.go), which
// compares the chain with the broker. Until it has ended, live messages wait.
type feed struct {
	// Immutable.
	node    *Node
	topic   string
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	reading chan struct{} // one element while old messages are read
	keeps   Retention

	// Guarded by the node's mutex.
	users  int
	linger *time.Timer // runs while there are no users; nil: it does not

	// Guarded by mu.
	mu      sync.Mutex
	stop    func() // ends the following; nil: the topic is not followed
	subs    map[*Subscription]struct{}
	open    bool      // the first round has ended: the ring has a base
	ring    ring      // the end of the chain
	through uint64    // no message of the topic is between the end and this offset
	acked   Position  // the last publish of this node; zero: the chain has it
	old     ring      // the messages that were last read from in front of the ring
	gone    span      // where a read found nothing kept
	early   []Message // live ones that wait for the round
	waiting int       // bytes of early
	excess  bool      // some that wait were dropped
	linked  bool      // live messages may be appended; otherwise a round is wanted or runs
	closed  bool

	rounds // guarded by mu too
}

// span is offsets from one on, up to another.
type span struct{ from, to uint64 }

func (s span) has(offset uint64) bool { return s.from <= offset && offset < s.to }

func newFeed(n *Node, topic string) *feed {
	f := &feed{node: n, topic: topic, subs: make(map[*Subscription]struct{}), reading: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(n.ctx)
	f.ring.limit, f.old.limit = n.config.Ring, n.config.Page
	if n.config.Retention != nil {
		f.keeps = n.config.Retention(topic)
	}
	f.changed = make(chan struct{})
	return f
}

// Live appends m to the chain if it follows, and has a round look otherwise.
func (f *feed) Live(m Message) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	if !f.linked {
		f.wait(m)
		f.mu.Unlock()
		return
	}
	switch f.fit(&m) {
	case follows:
		f.ring.push(m)
	case stray:
		f.node.holes.Add(1)
		f.wait(m)
		f.want()
	case known:
	}
	f.wakeAndUnlock()
}

// Gap has the chain compared with the broker before anything is appended to it.
func (f *feed) Gap(error) {
	f.node.gaps.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.through = 0 // the store may be another by now
	f.want()
}

// acknowledge notes that a message was stored that this node has published.
func (f *feed) acknowledge(at Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Epoch != f.acked.Epoch || at.Offset > f.acked.Offset {
		f.acked = at
	}
}

// check compares the chain with the broker.
func (f *feed) check() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.want()
}

// wait keeps a live message for the end of the round. Under mu, as all below.
func (f *feed) wait(m Message) {
	if limit := f.ring.limit; len(f.early) == 0 || len(f.early) < limit.Messages && f.waiting+m.size() <= limit.Bytes {
		f.early = append(f.early, m)
		f.waiting += m.size()
	} else {
		f.excess = true // the round after this one reads it
	}
}

// fitting says how a live message fits the chain.
type fitting int

const (
	follows fitting = iota // it is the next one
	known                  // the chain has it, or had
	stray                  // something is missing in front of it, or it is of another chain
)

func (f *feed) fit(m *Message) fitting {
	end := f.ring.end()
	switch {
	case m.Epoch != end.Epoch:
		return stray
	case m.Offset < f.ring.base.Offset || m.Offset <= end.Offset && f.ring.has(m):
		return known
	case m.Offset > end.Offset && end.ID != "" && m.Prev == end.Offset:
		return follows
	}
	return stray
}

// link ends a round: the live messages that waited are appended. It reports
// whether they all fit; those that do not are read by another round.
func (f *feed) link() bool {
	slices.SortFunc(f.early, func(a, b Message) int { return cmp.Compare(a.Offset, b.Offset) })
	fits := !f.excess
	for i := range f.early {
		switch f.fit(&f.early[i]) {
		case follows:
			f.ring.push(f.early[i])
		case stray:
			fits = false
		case known:
		}
	}
	f.early, f.waiting, f.excess = nil, 0, false
	return fits
}

// reset begins a new chain at the end of the topic: what was before is not known
// to be connected with what follows.
func (f *feed) reset(head Head) {
	if f.open {
		f.node.resets.Add(1)
	}
	f.open = true
	f.ring.reset(head.Position)
	f.old.reset(Position{})
	f.gone = span{}
	f.through = head.Through
}

// kept counts what is in memory. What is in both the ring and old is counted once.
func (f *feed) kept() Budget {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := Budget{len(f.ring.messages) + len(f.early), f.ring.bytes + f.waiting}
	for i := range f.old.messages {
		if m := &f.old.messages[i]; m.Offset <= f.ring.base.Offset {
			kept.Messages++
			kept.Bytes += m.size()
		}
	}
	return kept
}

// position is that of the end.
func (f *feed) position() Position {
	end := f.ring.end()
	if end.ID == "" {
		end.Offset = max(end.Offset, f.through)
	}
	return end
}

// wakeAndUnlock gives up mu and notifies the subscribers that have been at the
// end and have something to read.
func (f *feed) wakeAndUnlock() {
	var wake []*Subscription
	end := f.ring.end()
	for s := range f.subs {
		if s.idle && s.seen != end {
			s.idle = false
			wake = append(wake, s)
		}
	}
	f.mu.Unlock()
	for _, s := range wake {
		s.notify()
	}
}

// close ends the following, and the calls that wait.
func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	stop := f.stop
	f.stop = nil
	subs := f.subs
	f.subs = nil
	f.mu.Unlock()
	f.cancel()
	if stop != nil {
		stop()
	}
	for s := range subs {
		s.notify() // Next returns ErrClosed
	}
}
