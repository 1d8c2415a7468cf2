package mirror

import (
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/callback"
)

const (
	beatEvery = 3 * time.Second
	// deadAfter is how long a node may be silent. Together with a look each second and
	// a beat on its way it is below 15 s.
	deadAfter = 13 * time.Second
	// forgottenAfter is how long a node that has ended is known, so that what was on
	// its way does not bring it back.
	forgottenAfter = time.Minute
)

// Config is how a Group works.
type Config struct {
	// Kind is that of its channels, with suffixes.
	Kind string
	// Flush is the time from a change to its delta: further ones join it.
	Flush time.Duration
	// Most is how many values of a topic one flush has at most; the rest waits for the
	// next. 0: all.
	Most int
	// Grace is how long the values of a node that has said good-bye stay.
	Grace time.Duration
	// Change is called under the Group's mutex when a value of a node changes, own ones
	// included. An empty value is none.
	Change func(t *Topic, node ID, key, old, value string)
}

// Group is the part of a node that mirrors the topics of one kind.
//
// It has one mutex, which guards what its user keeps too, and one goroutine, which
// sends and calls back without the mutex.
type Group struct {
	// Immutable.
	bus    cluster.Bus
	config Config
	id     ID
	stops  []func()
	wake   chan struct{} // one element: there is something to do
	ended  chan struct{} // closed by the goroutine

	// Guarded by mu, as are all topics.
	mu     sync.Mutex
	topics map[string]*Topic
	peers  map[ID]*peer
	seq    uint64 // of the last delta of any topic
	agenda agenda
	next   time.Time // what the goroutine waits for
	outbox []outgoing
	calls  []func()
	look   Task
	beat   Task
	cut    bool // the last beat was not sent: who is silent may be alive
	closed bool
}

// peer is another node.
type peer struct {
	seen time.Time
	end  time.Time // of its values, once it has said good-bye
	dead bool      // its values are dropped
}

type outgoing struct {
	channel cluster.Channel
	data    []byte
	beat    bool
}

// New starts a Group. Close it before the bus.
func New(bus cluster.Bus, config Config) (*Group, error) {
	g := &Group{
		bus: bus, config: config, topics: make(map[string]*Topic), peers: make(map[ID]*peer),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	_, _ = rand.Read(g.id[:]) // never fails
	g.look.Do, g.beat.Do = g.lookAtPeers, g.sendBeat
	now := time.Now()
	g.agenda.set(&g.look, now.Add(time.Second))
	g.agenda.set(&g.beat, now)
	// From here on messages arrive on other goroutines.
	for _, c := range []cluster.Channel{g.everybody(), g.inbox(g.id)} {
		stop, err := bus.Listen(c, receiver{g, nil})
		if err != nil {
			g.stopAll()
			return nil, err
		}
		g.stops = append(g.stops, stop)
	}
	go g.run()
	return g, nil
}

// everybody is the channel of beats.
func (g *Group) everybody() cluster.Channel {
	return cluster.Channel{Kind: g.config.Kind + "-nodes", Topic: "all"}
}

// inbox is the channel of one node.
func (g *Group) inbox(id ID) cluster.Channel {
	return cluster.Channel{Kind: g.config.Kind + "-node", Topic: hex.EncodeToString(id[:])}
}

// deltas is the channel that the watchers of a topic listen to.
func (g *Group) deltas(topic string) cluster.Channel {
	return cluster.Channel{Kind: g.config.Kind, Topic: topic}
}

// wants is the channel that those who have something of a topic listen to.
func (g *Group) wants(topic string) cluster.Channel {
	return cluster.Channel{Kind: g.config.Kind + "-wants", Topic: topic}
}

// ID names this node.
func (g *Group) ID() ID { return g.id }

// Lock takes the mutex of the Group.
func (g *Group) Lock() { g.mu.Lock() }

// Unlock gives the mutex up, and wakes the goroutine if there is something to do.
func (g *Group) Unlock() {
	stir := len(g.outbox)+len(g.calls) > 0 || g.closed ||
		len(g.agenda) > 0 && (g.next.IsZero() || g.agenda[0].at.Before(g.next))
	g.mu.Unlock()
	if stir {
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
}

// At makes a task due. The zero time takes it back. Under the mutex, as all below.
func (g *Group) At(t *Task, at time.Time) { g.agenda.set(t, at) }

// Call has f called without the mutex, after those before it.
func (g *Group) Call(f func()) { g.calls = append(g.calls, f) }

// Closed reports whether Close was called.
func (g *Group) Closed() bool { return g.closed }

// Topic returns a topic that somebody has values of or watches, or nil.
func (g *Group) Topic(name string) *Topic { return g.topics[name] }

// send has a message sent.
func (g *Group) send(c cluster.Channel, m message) {
	m.from = g.id
	g.outbox = append(g.outbox, outgoing{c, m.encode(), m.kind == kindBeat})
}

// run does what is due, sends and calls, until Close.
func (g *Group) run() {
	defer close(g.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		g.mu.Lock()
		g.next = time.Time{}
		if !g.closed {
			g.next = g.agenda.run(time.Now())
		}
		next, closed, outbox, calls := g.next, g.closed, g.outbox, g.calls
		g.outbox, g.calls = nil, nil
		g.mu.Unlock()
		for _, o := range outbox {
			err := g.bus.Send(o.channel, o.data) // what is lost is repaired
			if o.beat {
				g.mu.Lock()
				g.cut = err != nil
				g.mu.Unlock()
			}
		}
		for _, call := range calls {
			call()
		}
		if closed {
			return
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = time.Until(next)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-g.wake:
		}
	}
}

// Close says good-bye to the others and returns when nothing is called any more, but for
// the call that it is called in. The values of this node stay with the others for
// Config.Grace.
func (g *Group) Close() {
	g.Lock()
	if !g.closed {
		g.closed = true
		g.send(g.everybody(), message{kind: kindBye})
		for _, t := range g.topics {
			t.stopAll()
		}
	}
	g.Unlock()
	if !callback.In((*Group).run) {
		<-g.ended
	}
	g.stopAll()
}

func (g *Group) stopAll() {
	for _, stop := range g.stops {
		stop()
	}
}

func (g *Group) sendBeat(now time.Time) {
	g.send(g.everybody(), message{kind: kindBeat})
	g.At(&g.beat, now.Add(jitter(beatEvery)))
}

// lookAtPeers drops what nodes have that are silent, unless this one is cut off.
func (g *Group) lookAtPeers(now time.Time) {
	g.At(&g.look, now.Add(time.Second))
	for id, p := range g.peers {
		switch {
		case p.dead && now.Sub(p.seen) > deadAfter+forgottenAfter:
			delete(g.peers, id)
		case p.dead:
		case !p.end.IsZero() && !p.end.After(now):
			g.drop(id, p)
		case g.cut && p.end.IsZero():
			p.seen = now
		case now.Sub(p.seen) > deadAfter:
			g.drop(id, p)
		}
	}
}

func (g *Group) drop(id ID, p *peer) {
	p.dead = true
	for _, t := range g.topics {
		t.dropCopy(id)
	}
}

// hear notes that a node is alive, and reports whether it may speak.
func (g *Group) hear(id ID, now time.Time) bool {
	p := g.peers[id]
	switch {
	case p == nil:
		p = &peer{}
		g.peers[id] = p
	case !p.end.IsZero():
		return false
	case p.dead: // it was silent only: ask what it has
		p.dead = false
		for _, t := range g.topics {
			t.wantSoon(now)
		}
	}
	p.seen = now
	return true
}

// receiver takes the messages of one channel: of a topic, or of the group.
type receiver struct {
	g *Group
	t *Topic
}

// Receive implements cluster.Receiver. Who cannot be understood is ignored.
func (r receiver) Receive(data []byte) {
	m, err := decode(data)
	if err != nil {
		return
	}
	g := r.g
	g.Lock()
	defer g.Unlock()
	now := time.Now()
	if g.closed || !g.hear(m.from, now) {
		return
	}
	switch m.kind {
	case kindBeat:
	case kindBye:
		g.peers[m.from].end = now.Add(g.config.Grace)
	case kindWant:
		if r.t != nil {
			r.t.wanted(now, m.soon)
		}
	case kindDelta:
		if r.t != nil {
			r.t.receive(&m, now)
		}
	case kindAsk:
		g.answer(&m, now)
	case kindPart:
		if t := g.topics[m.topic]; t != nil {
			t.receivePart(&m, now)
		}
	}
}

// Gap implements cluster.Receiver: the topic tells and asks anew.
func (r receiver) Gap(error) {
	g := r.g
	g.Lock()
	defer g.Unlock()
	if r.t != nil && !g.closed {
		now := time.Now()
		r.t.wanted(now, true)
		r.t.wantSoon(now)
	}
}

// jitter returns a time between 3/4 and 5/4 of d.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + mathrand.N(d/2+1)
}
