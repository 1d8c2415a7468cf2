package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/callback"
)

// Errors of Subscribe, and what Config.Ended gets.
var (
	// ErrSubscribed: the connection subscribes to the topic already.
	ErrSubscribed = errors.New("live: the connection subscribes to this topic already; unsubscribe it first")
	// ErrClosed: the Topics are closed.
	ErrClosed = errors.New("live: closed")
	// ErrLagging: the connection was not up to date within Config.Within, and is closed.
	ErrLagging = errors.New("live: the connection reads too slowly to become up to date; it is closed and may resume")
)

// errTooSlow is what the connection of ErrLagging ends with, so that it counts as CauseSlow.
var errTooSlow = fmt.Errorf("%w: %w", engine.ErrSlow, ErrLagging)

// Stats counts what Topics did.
type Stats struct {
	Topics     int    // with subscribers
	Live       int    // subscribers that are up to date
	CatchingUp int    // the others
	Encoded    uint64 // new messages, once each
	Pages      uint64 // sent
	Delivered  uint64 // messages, for each subscriber: new ones that were queued, and those in pages
	Slow       uint64 // times that a live subscriber began to catch up
	Resets     uint64 // pages with Reset
	Lagging    uint64 // connections closed for ErrLagging
	Panics     uint64 // calls of the Encoder that did not return; the log has some of them
}

// Topics delivers topics of a node to the WebSockets of a server. Any goroutine may
// call its methods; none waits for the broker.
type Topics struct {
	// Immutable.
	node   *cluster.Node
	server *engine.Server
	config Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	limit  int   // bytes that may wait for a live subscriber
	fast   *crew // encodes and sends
	slow   *crew // waits for the broker

	encoded, pages, delivered, slowed, resets, lagged atomic.Uint64

	panics panics

	// Guarded by counting, which is taken last.
	counting sync.Mutex
	live     int
	lag      map[*subscriber]bool // those that are not live

	// Guarded by mu, which is taken before that of a topic.
	mu     sync.Mutex
	topics map[string]*topic
	subs   map[*engine.WebSocket]*subscriber // lists
	closed bool
	sweeps sync.WaitGroup
}

// New returns Topics of a node for a server that has the callbacks of
// [Topics.Callbacks]. Close it before the node.
func New(node *cluster.Node, server *engine.Server, config Config) *Topics {
	t := &Topics{
		node:   node,
		server: server,
		config: config.withDefaults(),
		limit:  server.Limits.WithDefaults().HighWater,
		topics: make(map[string]*topic),
		subs:   make(map[*engine.WebSocket]*subscriber),
		lag:    make(map[*subscriber]bool),
	}
	t.claim()
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.fast, t.slow = newCrew(t.config.Workers), newCrew(t.config.Workers)
	t.sweeps.Go(t.sweep)
	return t
}

// Callbacks returns c with what the Topics have to know of each connection: OnDrain,
// OnUnsubscribe and OnClose do that first and then call those of c. Make them the
// callbacks of every connection that subscribes, before the server starts.
func (t *Topics) Callbacks(c engine.Callbacks) engine.Callbacks {
	drain, unsubscribe, closed := c.OnDrain, c.OnUnsubscribe, c.OnClose
	c.OnDrain = func(ws *engine.WebSocket) {
		t.drained(ws)
		if drain != nil {
			drain(ws)
		}
	}
	c.OnUnsubscribe = func(ws *engine.WebSocket, name string, tag any) {
		if !t.lost(ws, name, tag) && unsubscribe != nil {
			unsubscribe(ws, name, tag)
		}
	}
	c.OnClose = func(ws *engine.WebSocket, code engine.StatusCode, reason string) {
		t.forget(ws)
		if closed != nil {
			closed(ws, code, reason)
		}
	}
	return c
}

// Owns reports whether a topic of the engine is one of these Topics, by Config.Prefix. It
// is what a Relay needs to know (relay.Config.Local), if the server has one.
func (t *Topics) Owns(topic string) bool { return strings.HasPrefix(topic, t.config.Prefix) }

// Subscribe makes ws a subscriber of a topic, from a position on, or from the end of
// the topic if from is zero. It does not wait: the answer is the first page. Who may
// subscribe is for you to decide before. A connection that is closed or closing gets
// engine.ErrClosed.
func (t *Topics) Subscribe(ws *engine.WebSocket, name string, from cluster.Position) error {
	if err := cluster.CheckTopic(name); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if ws.Cause() != engine.CauseNone { // OnClose follows, or nothing: it must not be missed
		return engine.ErrClosed
	}
	if t.find(ws, name) != nil {
		return ErrSubscribed
	}
	top, err := t.enter(name)
	if err != nil {
		return err
	}
	s := &subscriber{topic: top, ws: ws, next: t.subs[ws], catching: &catching{first: true, since: time.Now(), at: from}}
	t.subs[ws] = s
	t.falls(s, false)
	s.wake()
	return nil
}

// Unsubscribe ends a subscription. What was sent before still arrives; without a
// subscription it does nothing.
func (t *Topics) Unsubscribe(ws *engine.WebSocket, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.find(ws, name); s != nil {
		t.remove(s)
	}
}

// Stats returns what was counted so far.
func (t *Topics) Stats() Stats {
	t.mu.Lock()
	topics := len(t.topics)
	t.mu.Unlock()
	t.counting.Lock()
	live, others := t.live, len(t.lag)
	t.counting.Unlock()
	return Stats{
		Topics:     topics,
		Live:       live,
		CatchingUp: others,
		Encoded:    t.encoded.Load(),
		Pages:      t.pages.Load(),
		Delivered:  t.delivered.Load(),
		Slow:       t.slowed.Load(),
		Resets:     t.resets.Load(),
		Lagging:    t.lagged.Load(),
		Panics:     t.panics.count.Load(),
	}
}

// Close ends all subscriptions, and returns when nothing is sent any more. The
// connections stay. In a callback of a Topics it does not wait: what the callback returns
// is not sent.
func (t *Topics) Close() {
	t.mu.Lock()
	t.closed = true
	for _, s := range t.subs {
		for ; s != nil; s = s.next {
			t.leave(s)
		}
	}
	clear(t.subs)
	t.mu.Unlock()
	t.cancel()
	t.fast.end()
	t.slow.end()
	defer t.unclaim()
	if callback.In((*crew).serve, (*Topics).sweep, (*connCall).run) {
		return
	}
	t.sweeps.Wait()
	t.fast.work.Wait()
	t.slow.work.Wait()
}

// find returns the subscription of ws to a topic; nil if there is none. Under mu, as
// what follows.
func (t *Topics) find(ws *engine.WebSocket, name string) *subscriber {
	for s := t.subs[ws]; s != nil; s = s.next {
		if s.topic.name == name {
			return s
		}
	}
	return nil
}

// remove ends one subscription, unless it has ended.
func (t *Topics) remove(s *subscriber) (was bool) {
	var before *subscriber
	other := t.subs[s.ws]
	for other != s {
		if other == nil {
			return false
		}
		before, other = other, other.next
	}
	switch {
	case before != nil:
		before.next = s.next
	case s.next != nil:
		t.subs[s.ws] = s.next
	default:
		delete(t.subs, s.ws)
	}
	s.next = nil
	t.leave(s)
	return true
}

// leave takes a subscription from its topic.
func (t *Topics) leave(s *subscriber) {
	s.end()
	top := s.topic
	if top.users--; top.users == 0 {
		delete(t.topics, top.name)
		top.close()
	}
}

// enter returns a topic, with one user more.
func (t *Topics) enter(name string) (*topic, error) {
	top := t.topics[name]
	if top == nil {
		var err error
		if top, err = newTopic(t, name); err != nil {
			return nil, err
		}
		t.topics[name] = top
	}
	top.users++
	return top, nil
}

// forget ends the subscriptions of a connection that is closed.
func (t *Topics) forget(ws *engine.WebSocket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := t.subs[ws]; s != nil; s = s.next {
		t.leave(s)
	}
	delete(t.subs, ws)
}

// drained goes on with what waits for the queue of ws.
func (t *Topics) drained(ws *engine.WebSocket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := t.subs[ws]; s != nil; s = s.next {
		s.wake()
	}
}

// lost has a live subscriber catch up that has read too slowly: the tag is the mark
// of the first message that it did not get. It reports whether the subscription is or was
// one of t, and not one of the application to a topic of such a name.
func (t *Topics) lost(ws *engine.WebSocket, name string, tag any) bool {
	if !t.Owns(name) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first, marked := tag.(*mark)
	s := t.find(ws, name[len(t.config.Prefix):])
	if s != nil {
		s.fall(first)
	}
	return s != nil || marked
}

// quit ends a subscription for a reason that the application has to know, unless it is
// the end of the connection.
func (t *Topics) quit(s *subscriber, err error) {
	t.mu.Lock()
	was := t.remove(s)
	t.mu.Unlock()
	if was && t.config.Ended != nil && !errors.Is(err, engine.ErrClosed) {
		call(s.ws, func() { t.config.Ended(s.ws, s.topic.name, err) })
	}
}

// closedNode ends everything if the node is closed, which is what err says of a
// subscription that has not ended.
func (t *Topics) closedNode(of *turn, err error) {
	if errors.Is(err, cluster.ErrClosed) && !of.over() {
		t.over(err)
	}
}

// over ends all subscriptions: the node is closed, or the encoder does not work.
func (t *Topics) over(err error) {
	t.mu.Lock()
	var all []*subscriber
	for _, s := range t.subs {
		for ; s != nil; s = s.next {
			all = append(all, s)
		}
	}
	t.mu.Unlock()
	for _, s := range all {
		t.quit(s, err)
	}
}
