package fanout

import (
	"cmp"
	"sync"
	"sync/atomic"
	"unsafe"

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

	releaseHeld func() // doReleaseHeld as a value

	plain, closed *rare // that members share which have nothing of it, and which are only closing

	// behind is what the messages weigh that wait for the loop, if it is much.
	// members and subscriptions are how many there are. Written under mu, read by
	// anyone.
	behind, members, subscriptions atomic.Int64

	flushes, flushed atomic.Uint64 // of groups, and messages in them; written under mu

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
	sorting  byNumber    // list of collect, while it is sorted
	gaps     int         // parts whose gap the next flush reports

	groups map[string]*group
	budget *budget // of the groups; nil: there are none

	flushState // owned by the loop
}

func newFan(h *Hub, l *loop.Loop, c *Config) *fan {
	f := &fan{hub: h, loop: l, slow: c.Slow, pace: c.Pace.withDefaults(), copies: copies{loop: l}}
	f.flush, f.releaseHeld = f.doFlush, f.doReleaseHeld
	f.plain, f.closed = &rare{fan: f}, &rare{fan: f, closing: true}
	if c.Batching != nil {
		f.perSend = cmp.Or(c.Batching.SendCost, firstSend)
		f.groups, f.budget = make(map[string]*group), &budget{batching: c.Batching}
	}
	return f
}

// size is the memory that subscriptions take. Any goroutine.
func (f *fan) size() int {
	const (
		pointer = int(unsafe.Sizeof(&subscription{}))
		first   = int(unsafe.Sizeof(Member{})) + pointer // a member, and its place in the list of its first topic
		further = int(unsafe.Sizeof(subscription{})) + 2*pointer
	)
	members := int(f.members.Load())
	return members*first + (int(f.subscriptions.Load())-members)*further
}
