// Package fanout delivers what is published to the connections that subscribe.
//
// A Hub has the topics of a server. A connection is a Member of it from its first
// Subscribe on: its loop.Conn and its Outlet, which are all that a delivery touches.
// What else a publish has to know of a connection, it asks Connections for: the policy of
// one that is slow, OnGap, an end. So this package knows no WebSocket, and no delivery makes
// an interface call.
//
// Locks are taken in the order shard, fan, connection.
package fanout

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

const hubShards = 64

// Hub is the topics of a server: names here, subscribers with the fan of the
// loop that owns them.
type Hub struct {
	dropped, conflated atomic.Uint64 // messages to slow subscribers

	// Immutable.
	compressor  *frames.Compressor // nil: no compression
	fans        []*fan             // by loop
	seed        maphash.Seed
	maxRetained int // bytes in one topic; 0: no limit
	conns       Connections
	watcher     Watcher // nil: none

	shards [hubShards]shard

	retaining sync.Mutex // taken after that of a shard, and before no other
	retained  int        // what the retained messages of all topics take; guarded by retaining
}

// Config configures a Hub.
type Config struct {
	Slow        Slow               // the server's policy, where topics and connections have none
	Compressor  *frames.Compressor // of what is published; nil: no compression
	MaxRetained int                // bytes in one topic; 0: no limit
	Connections Connections
	Pace        Pace      // the zero value means the defaults
	Watcher     Watcher   // nil: none
	Batching    *Batching // nil: nothing waits for more
}

// Watcher is called when topics get subscribers and lose them, for one topic in the order
// of the changes. Locks are held: it only notes them.
type Watcher interface {
	TopicOpened(topic string) // the first subscriber of all has come
	TopicClosed(topic string) // the last one has left
}

// Connections is what the fan-out asks seldom of a connection, which has a Member. What
// it asks for each delivery is in the Outlet.
type Connections interface {
	// SlowLocked returns the policy for c in a topic that has one of its own, or nil.
	// Under the connection's lock.
	SlowLocked(c *loop.Conn, topic *Slow) *Slow
	// MaxQueued returns how many bytes may wait for c; 0: no limit.
	MaxQueued(c *loop.Conn) int
	// HasOnGap reports whether CallOnGap would call anything. On the loop.
	HasOnGap(c *loop.Conn) bool
	// CallOnGap reports what is missing. On the loop, in an event of c.
	CallOnGap(c *loop.Conn, gaps []Gap)
	// Shed closes c because it is slow.
	Shed(c *loop.Conn)
}

// shard holds the topics whose names hash to it. Its lock is taken before that
// of a fan.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*Topic
	over   bool // nothing is retained any more
}

// Topic exists while it has subscribers, settings or retained messages.
type Topic struct {
	name string // immutable

	// Written under the shard's lock, read by anyone.
	parts     atomic.Pointer[[]*part] // one for each loop with subscribers; copied when it changes
	forgotten atomic.Bool             // it exists no more: the name may belong to another one

	// Guarded by the shard's lock.
	rules    *Rules    // nil: none
	retained *retained // nil: none
}

// New returns a Hub of subscribers on loops.
func New(loops []*loop.Loop, c Config) *Hub {
	h := &Hub{compressor: c.Compressor, seed: maphash.MakeSeed(), maxRetained: c.MaxRetained, conns: c.Connections, watcher: c.Watcher}
	for _, l := range loops {
		h.fans = append(h.fans, newFan(h, l, &c))
	}
	return h
}

func (h *Hub) shard(name string) *shard { return &h.shards[maphash.String(h.seed, name)%hubShards] }

// part returns the part of the topic called name that f owns, made if need be.
// For a caller that holds the shard's and the fan's lock.
func (sh *shard) part(name string, f *fan) *part {
	t := sh.topic(name)
	parts := *t.parts.Load()
	for _, p := range parts {
		if p.fan == f {
			return p
		}
	}
	if len(parts) == 0 && f.hub.watcher != nil {
		f.hub.watcher.TopicOpened(name)
	}
	p := &part{fan: f, topic: t, rules: t.rules}
	f.joinGroup(p)
	parts = append(parts[:len(parts):len(parts)], p)
	t.parts.Store(&parts)
	return p
}

// topic returns the topic called name, made if need be. For a caller that holds
// the shard's lock.
func (sh *shard) topic(name string) *Topic {
	t := sh.topics[name]
	if t == nil {
		if sh.topics == nil {
			sh.topics = make(map[string]*Topic)
		}
		t = &Topic{name: name}
		t.parts.Store(&noParts)
		sh.topics[name] = t
	}
	return t
}

// noParts are those of a topic without subscribers.
var noParts []*part

// prune removes p if it has no subscribers left, and its topic if that was the last
// part. Both may have been removed before, and the name belong to another topic
// now. For a caller that holds the shard's and the fan's lock.
func (sh *shard) prune(p *part) {
	t := p.topic
	if len(p.subs) > 0 || p.count > 0 || sh.topics[t.name] != t {
		return
	}
	old := *t.parts.Load()
	parts := make([]*part, 0, len(old))
	for _, q := range old {
		if q != p {
			parts = append(parts, q)
		}
	}
	if len(parts) == len(old) {
		return
	}
	t.parts.Store(&parts)
	p.fan.leaveGroup(p)
	if w := p.fan.hub.watcher; w != nil && len(parts) == 0 {
		w.TopicClosed(t.name)
	}
	sh.forget(t)
}

// forget deletes t if it has neither subscribers, settings nor retained messages. For
// a caller that holds the shard's lock.
func (sh *shard) forget(t *Topic) {
	if len(*t.parts.Load()) == 0 && t.rules == nil && t.retained == nil {
		t.forgotten.Store(true)
		delete(sh.topics, t.name)
	}
}

// HasSubscribers reports whether t has subscribers. Any goroutine.
func (t *Topic) HasSubscribers() bool { return len(*t.parts.Load()) > 0 }

// Find returns the topic called name; nil if there is none.
func (h *Hub) Find(name string) *Topic {
	sh := h.shard(name)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.topics[name]
}
