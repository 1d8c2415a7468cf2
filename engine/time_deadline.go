package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// deadline is what the one timer of a connection was set for.
type deadline uint8

const (
	deadlineNone      deadline = iota
	deadlineHandshake          // the opening handshake is to be over
	deadlinePing               // the peer has been silent for PingInterval
	deadlinePong               // the sign of life that a ping asks for is due
	deadlineIdle               // no message came for IdleTimeout
	deadlineProgress           // it is time to see whether queue and message under way get on
	deadlineExpiry             // the time of CloseAt
	deadlineClose              // the closing handshake is to be over
)

var deadlineNames = [...]string{"none", "handshake", "ping", "pong", "idle", "progress", "expiry", "close"}

func (d deadline) String() string { return deadlineNames[d] }

// in reports whether d is a deadline of phase p. A timer of another phase is ignored.
func (d deadline) in(p outlet.Phase) bool {
	switch p {
	case outlet.Opening:
		return d == deadlineHandshake
	case outlet.Open:
		return d >= deadlinePing && d <= deadlineExpiry
	case outlet.Closing, outlet.Leaving, outlet.Failing, outlet.Answering:
		return d == deadlineClose
	case outlet.Closed:
	}
	return false
}

// arm sets the timer of ws, in place of what it was set for before. Loop only.
func (ws *WebSocket) arm(what deadline, d time.Duration) {
	ws.timer = what
	ws.conn.SetTimer(d)
}

// expired acts on the deadline that the timer was set for. Loop only, inside an
// event of the connection.
func (ws *WebSocket) expired() {
	what, now := ws.timer, ws.conn.Loop().Now()
	ws.timer = deadlineNone
	ws.carryOut() // after which the phase may have another deadline
	switch {
	case !what.in(ws.phase()):
	case what == deadlineHandshake:
		ws.opening.timeout(ws)
	case what == deadlineClose:
		ws.closeExpired()
	default:
		ws.rest(now)
		if ws.alive(what, now) {
			ws.armAlive(now)
		}
	}
}

// hear notes a sign of life of the peer, which is any byte.
func (ws *WebSocket) hear(now time.Duration) { ws.heard, ws.owes = now, false }

// rest starts the clocks anew while reading is paused: the silence of a peer that
// is not listened to says nothing.
func (ws *WebSocket) rest(now time.Duration) {
	if ws.paused.Load() == 0 {
		return
	}
	ws.hear(now)
	ws.messaged = now
	ws.conn.RestUnopened()
	if in := ws.peekInput(); in != nil {
		in.arrival.at = now
	}
}

// alive acts on a deadline of an open connection. It reports whether the connection
// stays open.
func (ws *WebSocket) alive(what deadline, now time.Duration) bool {
	if at, ok := ws.conn.Heard(); ok && at >= ws.heard {
		ws.hear(at)
	}
	if !ws.checkExpiry(now) || !ws.checkProgress(now) {
		return false
	}
	switch what {
	case deadlinePing:
		if !ws.owes && now-ws.heard >= ws.settings().limits.PingInterval {
			ws.askForLife(now)
		}
		return true
	case deadlinePong:
		return ws.checkPong(now)
	case deadlineIdle:
		return ws.checkIdle(now)
	case deadlineProgress, deadlineExpiry: // done at every deadline
	case deadlineNone, deadlineHandshake, deadlineClose: // not of an open connection
	}
	return true
}

// armAlive sets the timer of an open connection to the first of its deadlines.
func (ws *WebSocket) armAlive(now time.Duration) {
	l := &ws.settings().limits
	first, in := deadlineNone, time.Duration(-1)
	sooner := func(on bool, what deadline, d time.Duration) {
		if on && (in < 0 || d < in) {
			first, in = what, max(d, time.Millisecond)
		}
	}
	sooner(l.PingInterval > 0 && !ws.owes, deadlinePing, ws.heard+l.PingInterval-now)
	sooner(ws.owes, deadlinePong, ws.heard+l.PongTimeout-now)
	sooner(ws.owes && l.PingInterval > 0, deadlinePing, l.PingInterval) // answered by then: ping on
	sooner(l.IdleTimeout > 0, deadlineIdle, ws.idleSince(now)+l.IdleTimeout-now)
	sooner(l.WriteTimeout > 0, deadlineProgress, l.WriteTimeout)
	sooner(l.ReadTimeout > 0, deadlineProgress, l.ReadTimeout)
	if at, on := ws.expires(); on {
		sooner(on, deadlineExpiry, at-now)
	}
	ws.arm(first, in)
}

// armClose sets the timer of a connection that is closing. What the peer still
// sends and takes counts from now on.
func (ws *WebSocket) armClose() {
	ws.watchDelivery()
	ws.watchArrival(ws.conn.Loop().Now())
	ws.arm(deadlineClose, ws.settings().limits.CloseTimeout)
}

// closeExpired ends a connection whose peer does not finish the closing handshake, unless it
// makes progress: it takes queued bytes, or sends more of a message that it has to finish before
// it can answer.
func (ws *WebSocket) closeExpired() {
	limit := ws.settings().limits.CloseTimeout
	ws.conn.Lock()
	e := ws.endingLocked()
	ws.conn.Unlock()
	switch {
	case ws.takes(limit) || ws.phase() == outlet.Closing && ws.arrivesLate(limit):
		e.unreadOnce = false
		ws.arm(deadlineClose, limit)
		return
	case ws.phase() == outlet.Closing && !e.unreadOnce && ws.conn.Unread():
		e.unreadOnce = true // a loop that was held up has not read it yet; a peer that only sends gets no more time
		ws.arm(deadlineClose, time.Millisecond)
		return
	}
	ws.abandon()
}

// abandon ends a connection that is closing without waiting for its peer any longer. Loop only.
func (ws *WebSocket) abandon() {
	switch ws.phase() {
	case outlet.Closing, outlet.Leaving:
		ws.drop(ErrCloseTimeout)
	case outlet.Failing, outlet.Answering:
		if ws.conn.Queued() > 0 {
			ws.drop(ErrCloseTimeout)
			return
		}
		ws.conn.Close(loop.CloseNow) // only the peer's end of the transport is missing
	case outlet.Opening: // refused
		ws.conn.Close(loop.CloseNow)
	case outlet.Open, outlet.Closed: // not closing
	}
}

// drop ends a connection whose peer does not listen: nothing can be said to it.
// Loop only.
func (ws *WebSocket) drop(err error) {
	first := ws.blame(closeCauseOf(err), err) // before anybody can see that it ends, and end it otherwise
	ws.conn.Close(loop.CloseReset)
	ws.tell(first, err)
}
