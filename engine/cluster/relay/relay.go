package relay

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/callback"
)

// ErrJoined is returned by Join for a server that has a Relay, or has begun.
var ErrJoined = errors.New("relay: the server has a Relay or has begun; join it once, before its first method is called")

// Config is how a Relay works. The zero value of each field means its default. The other
// fields may differ between servers; where Tail does, OnGap is called once too often
// sometimes, and never too seldom.
type Config struct {
	// Name keeps several apart on one bus ("topics"): letters, digits, - and _. Servers get
	// what those of the same name publish, and nothing of others.
	Name string
	// Linger is how long the server listens to a topic after its last subscriber has left
	// (10 s): clients who come and go do not change the routes of the bus each time.
	Linger time.Duration
	// Tail is how long a topic is quiet before the server says which message was its last
	// (5 s), so that whoever lost that one finds it out. It says so a second time after
	// twelve times as long, and forgets the topic then.
	Tail time.Duration
	// Local says which topics stay on this server: those of package live, whose messages
	// each node has from the history (live.Topics.Owns). nil: none. It is called without a
	// lock, by whoever publishes and by a goroutine of the Relay, and must not block.
	Local func(topic string) bool
}

// tails are the times after the last message at which its number is sent, in Config.Tail.
var tails = [...]time.Duration{1, 12}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "topics"
	}
	c.Linger = orDefault(c.Linger, 10*time.Second)
	c.Tail = orDefault(c.Tail, 5*time.Second)
	return c
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Stats counts what a Relay did.
type Stats struct {
	Topics     int    // that it listens to
	Quiet      int    // of those, the ones without subscribers, for Config.Linger
	Sent       uint64 // messages
	Failed     uint64 // messages that the bus did not take
	Received   uint64 // messages of other servers that were delivered
	Gaps       uint64 // that the bus reported, one for each topic
	Holes      uint64 // messages that did not follow the one before
	Repeated   uint64 // messages that came twice, or behind a later one, and were not delivered
	Unreadable uint64 // messages that are none of this version; each is a gap
}

// Relay is the part of a node that carries the topics of its Server to other servers. It
// implements engine.Relay. Any goroutine.
type Relay struct {
	// Immutable.
	server *engine.Server
	bus    cluster.Bus
	config Config
	out    *outbound
	wake   chan struct{} // one element: the goroutine has something to do
	over   chan struct{} // closed by Close
	work   sync.WaitGroup

	closed                                      atomic.Bool
	received, gaps, holes, repeated, unreadable atomic.Uint64
	listened, quiet                             atomic.Int64

	// Guarded by mu, under which no other lock is taken.
	mu    sync.Mutex
	notes map[string]note // the last change of each topic

	lines lines // owned by the goroutine
}

var _ engine.Relay = (*Relay)(nil)

// note is whether a topic has subscribers, since when.
type note struct {
	open bool
	at   time.Time
}

// Join makes srv one of the servers that bus connects, and sets its Relay. Call it before
// the first method of srv. Each server has a Bus of its own: what a Bus sends it does not
// deliver. When you end, close the server first, then the Relay, then the bus. The error
// is ErrJoined, or cluster.ErrTopic for a name that cannot be used.
func Join(srv *engine.Server, bus cluster.Bus, config Config) (*Relay, error) {
	config = config.withDefaults()
	if err := (cluster.Channel{Kind: config.Name, Topic: "x"}).Check(); err != nil {
		return nil, err
	}
	if srv.Relay != nil || len(srv.Stats().Loops) > 0 {
		return nil, ErrJoined
	}
	r := &Relay{server: srv, bus: bus, config: config, wake: make(chan struct{}, 1), over: make(chan struct{}), notes: make(map[string]note)}
	r.out = newOutbound(bus, config, rand.Uint64(), r.rouse)
	r.lines = lines{relay: r, all: make(map[string]*line)}
	srv.Relay = r
	r.work.Go(r.run)
	return r, nil
}

// Close stops listening. What is published afterwards stays on this server and returns
// cluster.ErrClosed. It returns when nothing is under way any more but what the bus is
// delivering; in Config.Local it does not wait.
func (r *Relay) Close() {
	if !r.closed.Swap(true) {
		close(r.over)
	}
	r.out.close()
	if !callback.In((*Relay).run) {
		r.work.Wait()
	}
}

// Stats returns what was counted so far.
func (r *Relay) Stats() Stats {
	return Stats{
		Topics:     int(r.listened.Load()),
		Quiet:      int(r.quiet.Load()),
		Sent:       r.out.sent.Load(),
		Failed:     r.out.failed.Load(),
		Received:   r.received.Load(),
		Gaps:       r.gaps.Load(),
		Holes:      r.holes.Load(),
		Repeated:   r.repeated.Load(),
		Unreadable: r.unreadable.Load(),
	}
}

// TopicOpened implements engine.Relay.
func (r *Relay) TopicOpened(topic string) { r.note(topic, true) }

// TopicClosed implements engine.Relay.
func (r *Relay) TopicClosed(topic string) { r.note(topic, false) }

func (r *Relay) note(topic string, open bool) {
	n := note{open, time.Now()}
	r.mu.Lock()
	r.notes[topic] = n
	r.mu.Unlock()
	r.rouse()
}

// local says whether a topic stays on this server.
func (r *Relay) local(topic string) bool { return r.config.Local != nil && r.config.Local(topic) }

// takeNotes returns the changes since the last call.
func (r *Relay) takeNotes() map[string]note {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) == 0 {
		return nil
	}
	notes := r.notes
	r.notes = make(map[string]note)
	return notes
}

// Publish implements engine.Relay. The error is cluster.ErrTopic, ErrTooLarge,
// ErrUnavailable or ErrClosed.
func (r *Relay) Publish(topic string, m engine.Message) error {
	if r.local(topic) {
		return nil
	}
	f := frame{key: m.Key, data: m.Data}
	if m.Op == engine.Binary {
		f.flags |= flagBinary
	}
	if m.Retain {
		f.flags |= flagRetain
	}
	return r.out.publish(topic, &f)
}

// rouse has the goroutine look what there is to do. It does not block.
func (r *Relay) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run listens and stops listening, and sends heads, until Close.
func (r *Relay) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer r.lines.stopAll()
	for {
		select {
		case <-r.wake:
		case <-timer.C:
		case <-r.over:
			return
		}
		now := time.Now()
		next := earlier(r.lines.update(r.takeNotes(), now), r.out.sendHeads(now))
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

// earlier returns the earlier of two times; the zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
