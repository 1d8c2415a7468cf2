package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// topic is one topic on this node: the pump that publishes its messages to the
// engine, and the place where subscribers meet it.
type topic struct {
	// Immutable.
	topics *Topics
	name   string
	engine *engine.Topic
	pump   *pump

	users int // guarded by the mutex of Topics

	// Guarded by mu, which is taken after that of Topics.
	mu      sync.Mutex
	at      cluster.Position         // behind what is published; zero: not known yet
	number  uint64                   // of the last publish
	live    int                      // subscribers of the engine's topic
	early   map[uint64][]*subscriber // those ahead of the pump, by the offset they are at
	abroad  map[*subscriber]bool     // those whose position is in another epoch than the pump
	ended   bool
	askers  []asker       // who needs the broker
	busy    bool          // one of them asks, or they wait to try again
	retries time.Duration // between attempts, since the broker does not answer; 0: it does
}

// mark is the tag of what is published.
type mark struct {
	topic  *topic
	number uint64
	before cluster.Position // behind what was published before
}

func newTopic(t *Topics, name string) (*topic, error) {
	top := &topic{
		topics: t,
		name:   name,
		engine: t.server.Topic(t.config.Prefix + name),
		early:  make(map[uint64][]*subscriber),
		abroad: make(map[*subscriber]bool),
	}
	if err := top.engine.SetSlow(engine.Slow{Policy: engine.SlowUnsubscribe, Limit: t.limit}); err != nil {
		return nil, err
	}
	top.pump = &pump{topic: top}
	top.pump.wakeUp()
	return top, nil
}

// close ends the pump of a topic that has no subscribers.
func (top *topic) close() {
	top.mu.Lock()
	top.ended = true
	top.mu.Unlock()
	top.pump.end()
	_ = top.engine.SetSlow(engine.Slow{}) // the server has ended: it has no settings
}

// admission is what becomes of a subscriber that has everything there is, as far as
// it knows.
type admission int

const (
	admitted admission = iota // it is live, or will be woken or admitted by the pump, or has ended
	behind                    // there is more
	unasked                   // Server.MaySubscribe is to be asked first
	refused
)

// admit makes s live, if it is where the pump is. Nothing is published meanwhile.
func (top *topic) admit(s *subscriber) (admission, error) {
	top.mu.Lock()
	defer top.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch at := s.catching.at; {
	case s.phase == ended || top.ended:
	case at.Epoch != top.at.Epoch:
		top.abroad[s] = true
		s.phase = resting
		if s.again {
			s.phase = queued
			top.topics.fast.push(s)
		}
	case top.at.Offset > at.Offset && !same(at, top.at):
		return behind, nil
	case !s.catching.allowed:
		return unasked, nil
	case same(at, top.at):
		if err := top.joinLocked(s); err != nil {
			return refused, err
		}
	default:
		top.early[at.Offset] = append(top.early[at.Offset], s)
		s.phase = ahead
	}
	return admitted, nil
}

// same reports whether nothing is between two positions: they are equal, or both in
// front of the first message.
func same(a, b cluster.Position) bool {
	return a == b || a.ID == "" && b.ID == "" && a.Epoch == b.Epoch
}

// joinLocked makes s live. Under the mutexes of both.
func (top *topic) joinLocked(s *subscriber) error {
	if err := top.engine.Admit(s.ws); err != nil {
		return err
	}
	s.phase, s.joined, s.catching = live, top.number, nil
	top.live++
	top.topics.joins(s)
	sub := s.sub
	s.sub = nil
	if sub != nil {
		sub.Close()
	}
	return nil
}

// errNotEncoded is returned by publish where somebody is live. The encoder is called
// without a lock.
var errNotEncoded = errors.New("the message is to be encoded first")

// publish gives one message to those who are live, and makes those live who have
// come this far ahead of the pump. frame is the message encoded; nil: not yet.
func (top *topic) publish(m *cluster.Message, frame *engine.Message) error {
	var failed []*subscriber
	var reasons []error
	defer func() {
		for i, s := range failed {
			top.topics.quit(s, reasons[i])
		}
	}()
	top.mu.Lock()
	defer top.mu.Unlock()
	if top.ended {
		return nil
	}
	if top.live > 0 && frame == nil {
		return errNotEncoded
	}
	before := top.at
	top.at = m.Position()
	top.number++
	if top.live > 0 {
		if err := top.sendLocked(*frame, before); err != nil {
			return err
		}
	}
	arrived := top.early[m.Offset]
	delete(top.early, m.Offset)
	for _, s := range arrived {
		if err := top.arriveLocked(s); err != nil {
			failed, reasons = append(failed, s), append(reasons, err)
		}
	}
	return nil
}

// sendLocked publishes a frame that follows a position.
func (top *topic) sendLocked(frame engine.Message, before cluster.Position) error {
	frame.Key, frame.Retain = "", false
	frame.Tag = &mark{top, top.number, before}
	d, err := top.engine.Deliver(frame) // every node does so
	top.topics.delivered.Add(uint64(d.Queued))
	if errors.Is(err, engine.ErrBackpressure) { // those who did not get it catch up
		return nil
	}
	return err
}

// arriveLocked makes s live, which was ahead of the pump, if the pump is where s is.
func (top *topic) arriveLocked(s *subscriber) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase != ahead:
	case s.catching.at == top.at:
		return top.joinLocked(s)
	default:
		s.phase = queued
		top.topics.fast.push(s)
	}
	return nil
}

// restart goes on behind a position that does not follow what was published: the
// pump has begun, or messages may be lost. Then those who are live get a page that says
// so; nil: it is not encoded yet.
func (top *topic) restart(at cluster.Position, lost bool, page *engine.Message) error {
	top.mu.Lock()
	defer top.mu.Unlock()
	if top.ended {
		return nil
	}
	if lost && top.live > 0 && page == nil {
		return errNotEncoded
	}
	before := top.at
	top.at = at
	top.number++
	early, abroad := top.early, top.abroad
	top.early, top.abroad = make(map[uint64][]*subscriber), make(map[*subscriber]bool)
	for _, list := range early {
		for _, s := range list {
			s.release()
		}
	}
	for s := range abroad {
		s.wake()
	}
	if !lost || top.live == 0 {
		return nil
	}
	top.topics.resets.Add(1)
	if isNothing(page) {
		return nil
	}
	return top.sendLocked(*page, before)
}

// asker is a pump or a subscriber.
type asker interface {
	task
	// place is where it reads on.
	place() uint64
	// ask asks the broker.
	ask(ctx context.Context) error
	resumed()
	phased(p phase) bool
}

// ask has a asked for what is not in memory: one of a topic asks at a time, the one
// that is furthest behind, since what it brings may help the others.
func (top *topic) ask(a asker) {
	top.mu.Lock()
	defer top.mu.Unlock()
	if !a.phased(asking) {
		return
	}
	top.askers = append(top.askers, a)
	if !top.busy {
		top.busy = true
		top.topics.slow.push(question{top})
	}
}

// question is the turn of a topic to ask the broker.
type question struct{ top *topic }

const (
	askWithin  = 5 * time.Second
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

func (q question) run() {
	top, t := q.top, q.top.topics
	a := top.furthest()
	ctx, cancel := context.WithTimeout(t.ctx, askWithin)
	defer cancel()
	var err error
	defer func() { q.answered(err) }() // a callback may end the goroutine
	err = a.ask(ctx)
}

// answered has those that ask go on, or try again after an error.
func (q question) answered(err error) {
	top, t := q.top, q.top.topics
	if errors.Is(err, cluster.ErrClosed) || t.ctx.Err() != nil {
		err = nil // the asker has ended, and the others find out when they ask
	}
	top.mu.Lock()
	if err != nil {
		top.retries = min(max(2*top.retries, firstRetry), lastRetry)
		time.AfterFunc(top.retries, func() { t.slow.push(q) })
		top.mu.Unlock()
		return
	}
	askers := top.askers
	top.askers, top.busy, top.retries = nil, false, 0
	top.mu.Unlock()
	for _, a := range askers {
		a.resumed()
	}
}

// furthest returns the asker with the smallest offset.
func (top *topic) furthest() asker {
	top.mu.Lock()
	askers := top.askers
	top.mu.Unlock()
	first := askers[0]
	place := first.place()
	for _, a := range askers[1:] {
		if p := a.place(); p < place {
			first, place = a, p
		}
	}
	return first
}

// begins reports whether the pump has published nothing yet, and is nowhere.
func (top *topic) begins() bool {
	top.mu.Lock()
	defer top.mu.Unlock()
	return top.at.IsZero()
}

// unanswered reports whether the broker does not answer.
func (top *topic) unanswered() bool {
	top.mu.Lock()
	defer top.mu.Unlock()
	return top.retries > 0
}
