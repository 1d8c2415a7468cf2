package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// SetSlow replaces the server's policy for subscribers of this topic, from the next publish
// on. The zero Slow undoes that. To replace another policy of the server by SlowClose, set
// Limit too. The setting is kept while the topic has no subscribers. It returns an
// *OptionError if slow makes no sense. Any goroutine.
//
// You may set it before the server is used. Then it takes effect when the server starts, and
// Listen returns an *OptionError if slow contradicts the fields of the server.
func (t *Topic) SetSlow(slow Slow) error {
	s := t.server
	if !s.up.Load() {
		if err := slow.checkWith(s.Limits); err != nil {
			return err
		}
		if s.early.keep(t.name, func(set *topicSettings) { set.slow = slow }) {
			return nil
		}
	}
	if err := slow.validate(s.settings); err != nil {
		return err
	}
	s.settings.hub.Change(t.name, func(r *fanout.Rules) { r.Slow = slow.override(s.settings) })
	return nil
}

// FlushEvery delays what is published to this topic by up to d, to send more in fewer writes.
// A connection gets it sooner if something that was published or sent later goes to it. A
// change also applies to messages that wait already, from now on; 0 undoes the setting. It is
// kept while the topic has no subscribers. You may set it before the server is used. Any
// goroutine.
func (t *Topic) FlushEvery(d time.Duration) {
	s := t.server
	if s.up.Load() || !s.early.keep(t.name, func(set *topicSettings) { set.flushEvery = max(d, 0) }) {
		s.settings.hub.Change(t.name, func(r *fanout.Rules) { r.FlushEvery = max(d, 0) })
	}
}

// SetSlow replaces the policies of the server and of the topics for this connection. The zero
// Slow undoes that. It returns an *OptionError if slow makes no sense. Any goroutine.
func (ws *WebSocket) SetSlow(slow Slow) error {
	if err := slow.validate(ws.settings()); err != nil {
		return err
	}
	own := slow.override(ws.settings())
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().slow = own
	return nil
}
