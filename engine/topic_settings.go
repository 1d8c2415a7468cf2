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
