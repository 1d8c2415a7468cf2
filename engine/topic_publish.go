package engine

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// Delivery counts what a publish did. Every subscriber of that moment falls under exactly one
// of the counts.
type Delivery struct {
	// Queued counts subscribers for whom the message was written or queued and nothing was
	// dropped.
	Queued int
	// Dropped counts subscribers that lose a message by this publish: this one or, with
	// SlowDropOldest, the oldest ones that wait. OnGap reports the loss to them.
	Dropped int
	// Conflated counts subscribers for whom the message replaced an older one of the same
	// key.
	Conflated int
	// Closed counts slow subscribers whose connections are closed instead.
	Closed int
}

// Subscribers returns the number of subscribers that the message was for.
func (d Delivery) Subscribers() int { return d.Queued + d.Dropped + d.Conflated + d.Closed }

// Publish sends m to every subscriber of topic. It never blocks, and encodes the
// message once, however many they are; m.Data is free when it returns. A topic
// without subscribers costs a look-up and is no error. After the end of the server no topic
// has any. Any goroutine.
//
// What one goroutine publishes reaches every subscriber in that order, whatever
// the topics, and keeps its order with what it sends to a connection. Only where
// messages wait until OnGap has returned, a direct send goes before them.
//
// ErrBackpressure is partial: at least one loop has more than Slow.Limit bytes of
// this topic undelivered. Its subscribers miss this message and those that follow,
// until it has flushed the topic, and are counted as Dropped. Subscribers of other
// loops get it: do not publish it again. ErrNotData if m is neither text nor binary.
// ErrRetained if m is to be retained and there is no room for it: no subscriber gets it.
//
// With a Server.Relay, subscribers of other servers get m too. Delivery does not count them.
// ErrRelay means that they do not get it.
func (s *Server) Publish(topic string, m Message) (Delivery, error) {
	if s.Relay != nil {
		return s.publishRelayed(topic, m, nil)
	}
	return s.deliver(topic, m, nil)
}

// Deliver is Publish to the subscribers of this server alone: for what a Relay got from
// another one. Any goroutine.
func (s *Server) Deliver(topic string, m Message) (Delivery, error) { return s.deliver(topic, m, nil) }

// deliver is Deliver to all but the one that from holds; from may be nil.
func (s *Server) deliver(topic string, m Message, from *atomic.Pointer[fanout.Member]) (Delivery, error) {
	if err := m.check(); err != nil {
		return Delivery{}, err
	}
	if m.Retain {
		if err := s.started(); err != nil {
			return Delivery{}, err
		}
		d, err := s.settings.hub.PublishRetained(topic, m.encode(), m.empty(), from)
		return Delivery(d), fromLoop(err)
	}
	if !s.up.Load() {
		return Delivery{}, nil // there are no subscribers yet
	}
	return s.settings.publishTo(s.settings.hub.Find(topic), m, from)
}

// Publish is Server.Publish to all but this connection, which need not be
// subscribed itself. A connection made by Dial returns ErrNoTopics.
func (ws *WebSocket) Publish(topic string, m Message) (Delivery, error) {
	e := ws.settings()
	switch {
	case e.hub == nil:
		return Delivery{}, ErrNoTopics
	case e.server.Relay != nil:
		return e.server.publishRelayed(topic, m, &ws.member)
	}
	return e.server.deliver(topic, m, &ws.member)
}

// publishTo publishes m, which is not retained, to all subscribers of t but the one that from
// holds. t and from may be nil.
func (e *settings) publishTo(t *fanout.Topic, m Message, from *atomic.Pointer[fanout.Member]) (Delivery, error) {
	if t == nil || !t.HasSubscribers() {
		return Delivery{}, nil
	}
	d, err := e.hub.PublishTo(t, m.encode(), from)
	return Delivery(d), fromLoop(err)
}
