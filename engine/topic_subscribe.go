package engine

import "github.com/fanloop-go/fanloop/engine/internal/fanout"

// Subscribe makes the connection receive what is published to topic from now on.
// The retained messages of the topic are delivered first, then every publish that is
// later than those, none twice and none missing. Subscribing twice is no error, and
// delivers nothing again: see Resubscribe.
//
// What you send to the connection before Subscribe is delivered before the retained
// messages, and what you send after it returned, after them. In OnGap it is different:
// what you send there goes before all that waits, so before those messages too.
//
// It returns the error of Server.MaySubscribe; ErrClosed after the end;
// ErrBackpressure if the topic has retained messages and the connection's queue no
// room for them: subscribe again in OnDrain. Any goroutine.
func (ws *WebSocket) Subscribe(topic string) error {
	return ws.subscribe(topic, (*fanout.Hub).Subscribe)
}

// Resubscribe delivers the retained messages of topic again: a new snapshot, for
// instance in OnGap. What was published before is delivered before the snapshot, and what
// is published later after it, none twice and none missing. A connection that does not
// subscribe yet becomes a subscriber.
//
// Errors are those of Subscribe. The subscription continues without the snapshot then:
// resubscribe in OnDrain. Any goroutine.
func (ws *WebSocket) Resubscribe(topic string) error {
	return ws.subscribe(topic, (*fanout.Hub).Resubscribe)
}

// Admit is Subscribe of a connection of the topic's server, without asking
// Server.MaySubscribe: for packages that have asked before they took a lock. It calls
// nothing of yours but Server.Relay. Any goroutine.
func (t *Topic) Admit(ws *WebSocket) error {
	return ws.admit(t.name, (*fanout.Hub).Subscribe)
}

// subscribe asks for permission and has the hub do the rest.
func (ws *WebSocket) subscribe(topic string, do func(*fanout.Hub, *fanout.Member, string) error) error {
	if ws.settings().hub == nil {
		return ErrNoTopics
	}
	if err := ws.settings().server.callMaySubscribe(ws, topic); err != nil {
		return err
	}
	return ws.admit(topic, do)
}

// admit is subscribe of a connection that has permission.
func (ws *WebSocket) admit(topic string, do func(*fanout.Hub, *fanout.Member, string) error) error {
	h := ws.settings().hub
	if h == nil {
		return ErrNoTopics
	}
	m := ws.memberOf(h)
	if m == nil {
		return ErrClosed
	}
	h.PackRetained(topic, ws.out.Variant)
	return fromLoop(do(h, m, topic))
}

// Unsubscribe ends the subscription to topic. What was published before is still delivered.
// OnGap is called for what was dropped, before what is behind it. Without a subscription it
// does nothing. Any goroutine.
func (ws *WebSocket) Unsubscribe(topic string) error {
	h := ws.settings().hub
	if h == nil {
		return ErrNoTopics
	}
	if m := ws.member.Load(); m != nil {
		h.Unsubscribe(m, topic)
	}
	return nil
}

// memberOf returns the member of ws, made if need be; nil if ws is not open.
func (ws *WebSocket) memberOf(h *fanout.Hub) *fanout.Member {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if !ws.out.IsOpen() {
		return nil
	}
	m := ws.member.Load()
	if m == nil {
		m = h.NewMember(&ws.conn, &ws.out, ws.conn.Loop().Index())
		ws.member.Store(m)
	}
	return m
}

// Topics returns the names of the topics that the connection subscribes to, in no order. Any
// goroutine.
func (ws *WebSocket) Topics() []string {
	m := ws.member.Load()
	if m == nil {
		return nil
	}
	return m.Topics()
}
