package fanout

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// fan delivers what is published to the subscribers that one loop owns.
//
// A publish appends its message once, to the part of its topic, and posts a flush
// to the loop. The flush writes to every subscriber all that was published since
// the last one, in one send. Messages are numbered in the order in which they
// reach the fan, whatever their topics, and every connection gets its own in that
// order. Each member knows the number up to which it has them, so whoever needs
// a connection to be up to date before the flush (a direct send, an unsubscribe,
// a close) delivers to that one alone: catchUp.
//
// A member whose connection takes no more, or has a fragmented message under
// way, is slow: its policy decides about each message when it is published, and
// what has to wait does so in a backlog.
//
// The flush holds no lock but that of the connection it writes to.
type fan struct {
	// Immutable.
	hub   *Hub
	loop  *loop.Loop
	slow  Slow   // the server's
	flush func() // doFlush as a value: a post allocates nothing
	pace  Pace

	// behind is what the messages weigh that wait for the loop, if it is much.
	// members and subscriptions are how many there are. Written under mu, read by
	// anyone.
	behind, members, subscriptions atomic.Int64

	retained int    // what the retained messages take in the ledger of the loop; guarded by hub.retaining
	copies   copies // of those

	// busy says that some part has messages that are not delivered. Written under
	// mu, read by anyone.
	busy atomic.Bool

	// Guarded by mu.
	mu       sync.Mutex
	number   uint64      // of the last message published
	waiting  int         // what the messages weigh that are pending or in flight
	loaded   []*part     // with messages, pending or in flight
	due      []*part     // with pending messages that the next flush takes
	posted   bool        // the loop is going to call doFlush
	flushing bool        // a flush is under way: subs are not changed; only the loop writes it
	changes  []change    // of subs, to be made when the flush has ended
	spare    [][]Message // empty, for pending
	unsent   []unsent    // scratch of catchUp
	gaps     int         // parts whose gap the next flush reports

	flushState // owned by the loop
}

// part is the subscribers of one topic that one fan has. Guarded by the fan's
// lock, but for what is said.
type part struct {
	// Immutable.
	fan   *fan
	topic *Topic

	rules *Rules          // nil: the server's
	subs  []*subscription // read by the loop without lock while flushing
	count int             // of subscribers, as it is with all changes made
	slow  []*subscription // those that have a backlog

	pending  []Message   // published since the last flush
	inflight []Message   // what the flush delivers; read by the loop without lock while flushing
	weight   int         // of pending
	at       int32       // in fan.loaded, if there are messages
	refusing bool        // publishes were refused since the last flush began: all are, until the next one
	delay    *time.Timer // runs while what is pending is delayed; nil: it is not

	refused  uint64    // messages so far that no subscriber gets; unknown for each gap that nobody counted
	gap      uint64    // number of the first message behind the gap that the flush under way reports; 0: there is none
	nextGap  uint64    // the same of the next flush
	refusals []refusal // where what subscriptions missed may begin, unless it is noted in a backlog
	ofGap    int       // how many of them are those of gap
	parted   bool      // some subscription misses what is refused from now on
}

// Message is one publish, as parts keep it. Set the exported fields.
type Message struct {
	Frames   *frames.Frames
	Key      string // "": none
	Tag      any    // that of a Gap which begins with the message; nil: none
	KeyApart bool   // the key is not counted with Frames, which other messages have too

	counted bool   // in a part, and in the ledger
	number  uint64 // in the order of the fan
}

// weight is what counts for limits while a message waits: its frame, its key, and
// what keeping it takes.
func (m *Message) weight() int { return m.Frames.Size() + len(m.Key) + messageOverhead }

// ownKey is what the key takes if it is not counted with the frames.
func (m *Message) ownKey() int {
	if m.KeyApart {
		return len(m.Key)
	}
	return 0
}

// messageOverhead is what a message that waits takes besides its frame and its key,
// about: the message, its frames, and what is unused of their memory.
const messageOverhead = 100

// change is a subscriber that joins or leaves during a flush.
type change struct {
	s     *subscription
	leave bool
}

func newFan(h *Hub, l *loop.Loop, slow Slow, pace Pace) *fan {
	f := &fan{hub: h, loop: l, slow: slow, pace: pace, copies: copies{loop: l}}
	f.flush = f.doFlush
	return f
}

// join adds a subscription. Under the fan's lock, as all that follows.
func (f *fan) join(m *Member, p *part) *subscription {
	s := &subscription{member: m, part: p, since: f.number, own: int32(len(m.subs)), lost: p.refused}
	m.subs = append(m.subs, s)
	f.subscriptions.Add(1)
	if len(m.subs) == 1 {
		f.members.Add(1)
	}
	switch {
	case m.index != nil:
		m.index[p.topic.name] = s
	case len(m.subs) == indexFrom:
		m.index = make(map[string]*subscription, 2*indexFrom)
		for _, s := range m.subs {
			m.index[s.part.topic.name] = s
		}
	}
	p.count++
	p.parted = true
	if w := m.slow.Load(); w != nil {
		after := w.gapOf(p.topic.name)
		s.addBacklog(w)
		s.backlog.after = after
	}
	f.apply(change{s: s})
	return s
}

// leave ends a subscription. Its backlog stays with the member.
func (f *fan) leave(s *subscription) {
	m := s.member
	lastOwn := len(m.subs) - 1
	m.subs[s.own], m.subs[lastOwn].own = m.subs[lastOwn], s.own
	m.subs[lastOwn] = nil
	m.subs = m.subs[:lastOwn]
	f.subscriptions.Add(-1)
	if lastOwn == 0 {
		f.members.Add(-1)
	}
	delete(m.index, s.part.topic.name)
	s.removeBacklog()
	if !m.closing {
		s.part.count--
	}
	f.apply(change{s: s, leave: true})
}

// apply makes a change of subs, or notes it for the end of the flush.
func (f *fan) apply(c change) {
	if f.flushing {
		f.changes = append(f.changes, c)
		return
	}
	p := c.s.part
	if !c.leave {
		c.s.at = int32(len(p.subs))
		p.subs = append(p.subs, c.s)
		return
	}
	last := len(p.subs) - 1
	moved := p.subs[last]
	p.subs[c.s.at], moved.at = moved, c.s.at
	p.subs[last] = nil
	p.subs = p.subs[:last]
}

// size is the memory that subscriptions take. Any goroutine.
func (f *fan) size() int {
	const each = int(unsafe.Sizeof(subscription{}) + 2*unsafe.Sizeof(&subscription{})) // in two lists
	return int(f.members.Load())*int(unsafe.Sizeof(Member{})) + int(f.subscriptions.Load())*each
}
