package engine

import (
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// Topic is a handle to the topic called name, whether it has subscribers or not. It
// looks the topic up once while that lives, so keep the handle of a topic that you
// publish to often. Any goroutine.
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
// without the look-up and its lock.
func (t *Topic) Publish(m Message) (Delivery, error) {
	if m.Retain || !t.server.up.Load() {
		return t.server.Publish(t.name, m)
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

// Each runs fn for every open subscriber of the topic, as Server.Each does: on the loop
// of each, as WebSocket.Do. It does not wait. A connection that subscribes or leaves
// meanwhile may be seen or not. Any goroutine.
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

// SetSlow replaces the server's policy for subscribers of this topic, from the
// next publish on. The zero Slow undoes that; set Limit too where SlowClose
// replaces another policy of the server. The setting is kept while the topic has
// no subscribers. The error is an *OptionError if slow cannot be meant. Any
// goroutine.
func (t *Topic) SetSlow(slow Slow) error {
	if err := t.server.started(); err != nil {
		return err
	}
	if err := slow.validate(t.server.settings); err != nil {
		return err
	}
	t.change(func(r *fanout.Rules) { r.Slow = slow.override(t.server.settings) })
	return nil
}

// FlushEvery delays what is published to this topic by up to d, to send more in
// fewer writes. A connection gets it sooner where something else is sent to it
// that was published or sent later. 0 undoes the setting; a change counts for what
// waits already, from now on. The setting is kept while the topic has no
// subscribers. Any goroutine.
func (t *Topic) FlushEvery(d time.Duration) {
	t.change(func(r *fanout.Rules) { r.FlushEvery = max(d, 0) })
}

// change edits the settings of the topic.
func (t *Topic) change(edit func(*fanout.Rules)) {
	if t.server.started() == nil {
		t.server.settings.hub.Change(t.name, edit)
	}
}
