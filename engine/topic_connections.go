package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/loop"
)

// connections answers what the fan-out asks seldom of a connection. What it needs for each
// delivery it reads from WebSocket.out.
type connections struct{}

// SlowLocked implements fanout.Connections.
func (connections) SlowLocked(c *loop.Conn, topic *fanout.Slow) *fanout.Slow {
	ws := webSocketOf(c)
	switch x := ws.extras; {
	case topic != nil && topic.Policy == fanout.Unsubscribe:
		return topic
	case x != nil && x.slow != nil:
		return x.slow
	case topic != nil:
		return topic
	}
	return &ws.settings().slow
}

// MaxQueued implements fanout.Connections.
func (connections) MaxQueued(c *loop.Conn) int { return webSocketOf(c).settings().policy.Limit }

// HasOnGap implements fanout.Connections.
func (connections) HasOnGap(c *loop.Conn) bool { return webSocketOf(c).callbacks.OnGap != nil }

// CallOnGap implements fanout.Connections.
func (connections) CallOnGap(c *loop.Conn, gaps []fanout.Gap) {
	ws := webSocketOf(c)
	if ws.callbacks.OnGap == nil && ws.callbacks.OnUnsubscribe == nil {
		return
	}
	ws.setInOnGap(true)
	defer ws.setInOnGap(false)
	for _, g := range gaps {
		switch {
		case !ws.out.MayWrite():
		case g.Over:
			ws.callUnsubscribe(g.Topic, g.Tag)
		default:
			ws.callGap(g.Topic, g.Missed)
		}
	}
}

// setInOnGap notes that OnGap is being called, or is not any more.
func (ws *WebSocket) setInOnGap(in bool) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().inOnGap = in
}

// Shed implements fanout.Connections.
func (connections) Shed(c *loop.Conn) { webSocketOf(c).shed() }
