package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
)

// expiry is when CloseAt closes a connection. Guarded by the lock of conn.
type expiry struct {
	at    time.Duration // on the loop's clock; 0: never
	frame closeFrame
}

// CloseAt closes the connection at t, as Close does with code and reason: for instance when its
// token expires. A later call replaces t, code and reason; the zero time cancels it. Pauses and
// traffic do not move t. If t has passed, it closes at once.
//
// The call reads the wall clock once; then the loop's monotonic clock counts, so a step of the
// wall clock changes nothing. It closes up to 16 ms late. It returns ErrInvalidStatus if code
// may not be sent, and ErrClosed if the connection is closed or closing. Any goroutine.
func (ws *WebSocket) CloseAt(t time.Time, code StatusCode, reason string) error {
	if !mayClose(code) {
		return ErrInvalidStatus
	}
	var next expiry
	if !t.IsZero() {
		next = expiry{at: ws.loopTime(t), frame: closeFrame{code, reason}}
	}
	ws.conn.Lock()
	if !ws.out.IsOpen() {
		ws.conn.Unlock()
		return ErrClosed
	}
	ws.onDemandLocked().expiry = next
	ws.conn.Unlock()
	return fromLoop(ws.conn.Do(ws.watchExpiry))
}

// watchExpiry sets the timer to the time of CloseAt if nothing else is due before
// that: all deadlines are looked at when it fires. Loop only, inside an event of the
// connection.
func (ws *WebSocket) watchExpiry() {
	now := ws.conn.Loop().Now()
	if ws.phase() != outlet.Open || !ws.checkExpiry(now) {
		return
	}
	if at, on := ws.expires(); on && ws.conn.HastenTimer(at-now) {
		ws.timer = deadlineExpiry
	}
}

// loopTime returns t on the loop's clock, which is above 0.
func (ws *WebSocket) loopTime(t time.Time) time.Duration {
	const farthest = 100 * 365 * 24 * time.Hour // the sum does not overflow
	return max(1, ws.conn.Loop().Clock()+min(time.Until(t), farthest))
}

// expires returns when CloseAt wants the connection closed. Loop only.
func (ws *WebSocket) expires() (at time.Duration, on bool) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if d := ws.knownOnDemandLocked(); d != nil {
		at = d.expiry.at
	}
	return at, at > 0
}

// checkExpiry closes a connection whose time is over, and reports whether it goes on.
// Loop only.
func (ws *WebSocket) checkExpiry(now time.Duration) bool {
	at, on := ws.expires()
	if !on || now < at {
		return true
	}
	ws.conn.Lock()
	frame := ws.onDemandLocked().expiry.frame
	ws.conn.Unlock()
	ws.askClose(CauseExpired, frame)
	ws.carryOut()
	return false
}
