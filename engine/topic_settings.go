package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// SetSlow replaces the server's policy for subscribers of this topic, from the
// next publish on. The zero Slow undoes that; set Limit too where SlowClose
// replaces another policy of the server. The setting is kept while the topic has
// no subscribers. The error is an *OptionError if slow cannot be meant. Any
// goroutine.
//
// You may set it before the server is used: it takes effect when that starts, and Listen
// returns an *OptionError if it cannot be meant with the fields of the server.
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

// FlushEvery delays what is published to this topic by up to d, to send more in
// fewer writes. A connection gets it sooner where something else is sent to it
// that was published or sent later. 0 undoes the setting; a change counts for what
// waits already, from now on. The setting is kept while the topic has no
// subscribers. You may set it before the server is used. Any goroutine.
func (t *Topic) FlushEvery(d time.Duration) {
	s := t.server
	if s.up.Load() || !s.early.keep(t.name, func(set *topicSettings) { set.flushEvery = max(d, 0) }) {
		s.settings.hub.Change(t.name, func(r *fanout.Rules) { r.FlushEvery = max(d, 0) })
	}
}

// SetSlow replaces, for this connection, the policy of the server and of the
// topics it subscribes to. The zero Slow undoes that. The error is an
// *OptionError if slow cannot be meant. Any goroutine.
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
