package engine

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// Topic is a handle to a topic, whether that has subscribers or not. It looks the topic up
// once: keep the handle of a topic that you publish to often. Any goroutine.
type Topic struct {
	// Immutable.
	server *Server
	name   string

	last atomic.Pointer[fanout.Topic] // what was found last; it may be forgotten by now
}

// Topic returns a handle to the topic called name. Any goroutine.
func (s *Server) Topic(name string) *Topic { return &Topic{server: s, name: name} }

// Name returns the name of the topic.
func (t *Topic) Name() string { return t.name }

// Publish is Server.Publish to this topic. Where the handle knows the topic, it does
// without the look-up and its lock, unless the server has a Relay.
func (t *Topic) Publish(m Message) (Delivery, error) {
	if t.server.Relay != nil {
		return t.server.Publish(t.name, m)
	}
	return t.Deliver(m)
}

// Deliver is Server.Deliver to this topic, without the look-up and its lock where the
// handle knows the topic. Any goroutine.
func (t *Topic) Deliver(m Message) (Delivery, error) {
	if m.Retain || !t.server.up.Load() {
		return t.server.Deliver(t.name, m)
	}
	if err := m.check(); err != nil {
		return Delivery{}, err
	}
	return t.server.settings.publishTo(t.find(), m, nil)
}

// find returns the topic, nil if it does not exist. Whoever subscribed before the
// call is seen: a topic is marked as forgotten before its name can belong to another.
func (t *Topic) find() *fanout.Topic {
	if top := t.last.Load(); top != nil && !top.Forgotten() {
		return top
	}
	top := t.server.settings.hub.Find(t.name)
	t.last.Store(top)
	return top
}

// Subscribers returns the number of subscribers. Any goroutine.
func (t *Topic) Subscribers() int {
	if top := t.known(); top != nil {
		return top.Count()
	}
	return 0
}

// known is find where the server may not have started.
func (t *Topic) known() *fanout.Topic {
	if !t.server.up.Load() {
		return nil
	}
	return t.find()
}

// Each runs fn for every open subscriber of the topic, on the loop of each, as WebSocket.Do
// does. It does not wait. A connection that subscribes or leaves meanwhile may be missed. Any
// goroutine.
func (t *Topic) Each(fn func(ws *WebSocket)) {
	top := t.known()
	if top == nil {
		return
	}
	for _, c := range top.Subscribers() {
		ws := webSocketOf(c)
		_ = c.Do(func() { // ended meanwhile: not open any more
			if ws.out.IsOpen() {
				callEach(fn, ws)
			}
		})
	}
}
