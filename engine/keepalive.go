package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// controlMeter counts control frames in the second under way.
type controlMeter struct{ second, n uint32 }

// admit counts one more at the time now and says whether it is within limit.
func (m *controlMeter) admit(now time.Duration, limit int) bool {
	if second := uint32(now / time.Second); second != m.second {
		*m = controlMeter{second: second}
	}
	m.n++
	return limit < 0 || m.n <= uint32(limit)
}

// checkAlive does what the time asks for on an open connection, and sets the
// timer for the next look.
func (ws *WebSocket) checkAlive() {
	now, l := ws.conn.Loop().Now(), &ws.endpoint.limits
	if ws.paused.Load() != 0 { // silence of a peer that is not listened to says nothing
		ws.heard, ws.messaged = now, now
	}
	if ws.heard > ws.pinged {
		ws.pinged = 0 // any byte is a sign of life
	}
	switch { // a loop that was held up may not have read the sign of life yet
	case l.WriteTimeout > 0 && ws.conn.Stalled() >= l.WriteTimeout:
		ws.drop(ErrWriteTimeout)
		return
	case ws.pinged != 0 && now-ws.pinged >= l.PongTimeout && !ws.conn.Unread():
		ws.drop(ErrPongTimeout)
		return
	case l.IdleTimeout > 0 && now-ws.messaged >= l.IdleTimeout && !ws.conn.Unread():
		ws.fail(StatusGoingAway, "idle for too long", ErrIdleTimeout)
		return
	case l.PingInterval > 0 && ws.pinged == 0 && now-ws.heard >= l.PingInterval:
		ws.pinged = now
		_ = ws.sendControl(codec.Ping, nil) // closed meanwhile: nobody to ask
	}
	ws.armAlive(now)
}

// armAlive sets the timer of an open connection.
func (ws *WebSocket) armAlive(now time.Duration) {
	l := &ws.endpoint.limits
	next := time.Duration(-1)
	sooner := func(on bool, d time.Duration) {
		if on && (next < 0 || d < next) {
			next = max(d, time.Millisecond)
		}
	}
	sooner(l.PingInterval > 0 && ws.pinged == 0, ws.heard+l.PingInterval-now)
	sooner(ws.pinged != 0, min(ws.pinged+l.PongTimeout-now, l.PingInterval)) // answered by then: ping on
	sooner(l.IdleTimeout > 0, ws.messaged+l.IdleTimeout-now)
	sooner(l.WriteTimeout > 0, l.WriteTimeout)
	ws.conn.SetTimer(next)
}

// drop ends a connection whose peer does not listen: there is nobody to tell.
func (ws *WebSocket) drop(err error) {
	ws.report(err)
	ws.conn.Close(loop.CloseReset)
}
