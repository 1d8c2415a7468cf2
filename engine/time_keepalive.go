package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// controlMeter bounds the rate of control frames: it is the moment, on the loop's
// clock, at which all that was counted has drained, at limit a second. A peer that
// was not read for a while may have sent for as long, so a moment in the past is
// saved up, for at most meterMemory.
type controlMeter time.Duration

const meterMemory = 60 * time.Second

// admit counts one more at the time now and reports whether it is within limit: no more
// than a second of it is to be drained.
func (m *controlMeter) admit(now time.Duration, limit int) bool {
	if limit < 0 {
		return true
	}
	*m = max(*m, controlMeter(now-meterMemory)) + controlMeter(time.Second/time.Duration(limit))
	return *m <= controlMeter(now+time.Second)
}

// progress is how far something had got when it was last seen to move.
type progress struct {
	n  int           // bytes
	at time.Duration // when
}

// moved notes that n bytes are through now, and reports whether they are
// loop.MinProgress more than before.
func (p *progress) moved(n int, now time.Duration) bool {
	if n-p.n < loop.MinProgress {
		return false
	}
	*p = progress{n: n, at: now}
	return true
}

// askForLife sends a ping. The clock of the answer runs from now on, or from when
// the ping has left this process.
func (ws *WebSocket) askForLife(now time.Duration) {
	ws.heard, ws.owes = now, true
	ws.watchDelivery()
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.writeControlLocked(codec.Ping, nil) != nil {
		return // closed: OnClose follows
	}
	ws.waits = ws.waits || ws.conn.BlockedLocked()
}

// watchDelivery begins to watch what the peer takes.
func (ws *WebSocket) watchDelivery() {
	_ = ws.conn.Stalled() // starts its clock
	ws.waits = ws.blocked()
	ws.acked = uint32(ws.conn.Acknowledged())
}

// checkPong drops a connection whose peer has given no sign of life for too long. Taking
// queued bytes is one.
func (ws *WebSocket) checkPong(now time.Duration) bool {
	limit := ws.settings().limits.PongTimeout
	switch {
	case !ws.owes || now-ws.heard < limit:
	case ws.conn.Unread(): // a loop that was held up has not read it yet
	case ws.takes(limit):
		ws.heard = now
	default:
		ws.drop(ErrPongTimeout)
		return false
	}
	return true
}

// checkIdle closes a connection on which no message comes. One that is arriving
// counts as long as it gets on.
func (ws *WebSocket) checkIdle(now time.Duration) bool {
	limit := ws.settings().limits.IdleTimeout
	switch {
	case now-ws.messaged < limit:
	case ws.conn.Unread():
	case ws.arrives(now, limit):
	default:
		ws.fail(StatusGoingAway, "idle for too long", ErrIdleTimeout)
		return false
	}
	return true
}

// idleSince is when the last message came, or the message that is arriving last made
// progress.
func (ws *WebSocket) idleSince(now time.Duration) time.Duration {
	since := ws.messaged
	if in := ws.peekInput(); in != nil && ws.assembles() {
		since = max(since, in.arrival.at)
	}
	if stalled, some := ws.conn.Unopened(); some {
		since = max(since, now-stalled)
	}
	return since
}

// checkProgress ends a connection whose peer takes no queued bytes, or sends no more of the
// message that it has begun.
func (ws *WebSocket) checkProgress(now time.Duration) bool {
	l := &ws.settings().limits
	switch {
	case l.WriteTimeout > 0 && ws.conn.Stalled() >= l.WriteTimeout:
		ws.drop(ErrWriteTimeout)
		return false
	case l.ReadTimeout > 0 && ws.unfinished(now) >= l.ReadTimeout && !ws.conn.Unread():
		ws.fail(StatusPolicyViolation, "message not finished in time", ErrReadTimeout)
		return false
	}
	return true
}

// blocked reports whether something is queued because the socket takes no more.
func (ws *WebSocket) blocked() bool {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return ws.conn.BlockedLocked()
}

// takes reports whether the peer has taken loop.MinProgress of what this side sent
// within limit, or since the last call: of the queue or, when that is empty, of what
// the kernel had.
func (ws *WebSocket) takes(limit time.Duration) bool {
	if ws.blocked() {
		ws.waits = true
		return ws.conn.Stalled() < limit
	}
	acked := uint32(ws.conn.Acknowledged())
	if !ws.waits && acked-ws.acked < loop.MinProgress {
		return false
	}
	ws.waits, ws.acked = false, acked // if it waited, the queue has gone since the last look
	return true
}

// assembles reports whether a message has begun that is kept until it is whole.
func (ws *WebSocket) assembles() bool {
	return ws.reader.Pending() && (ws.callbacks.OnFragment == nil || ws.reader.Buffered() > 0)
}

// arrives reports whether a message, or a record of TLS, is arriving on an open connection
// and made progress within limit.
func (ws *WebSocket) arrives(now, limit time.Duration) bool {
	_, record := ws.conn.Unopened()
	return (record || ws.assembles()) && ws.unfinished(now) < limit
}

// maxLate is what a peer may have under way besides a message, and of a message where
// MaxMessage is off.
const maxLate = 16 << 20

// arrivesLate reports whether the peer of a closing connection gets on with a message: it
// may have begun several before it learned of the close, and cannot answer inside of a
// frame. After the first CloseTimeout, MaxMessage bytes count.
func (ws *WebSocket) arrivesLate(limit time.Duration) bool {
	e, in, most := ws.peekEnding(), ws.peekInput(), int64(maxLate)
	if l := ws.settings().limits.MaxMessage; l > 0 {
		most = min(l, most)
	}
	came := e.discarded + ws.reader.Buffered()
	if e.late == 0 {
		e.late = came + int(most)
	}
	stalled, record := ws.conn.Unopened()
	moved := in.arrival.moved(came, ws.conn.Loop().Now())
	return came <= e.late && (moved && ws.assembles() || record && stalled < limit)
}

// unfinished returns for how long less than loop.MinProgress has come of the
// message that is assembled, or of the TLS record that may hold its next part; 0 if
// there is neither. It counts from the first call: ask again and again.
func (ws *WebSocket) unfinished(now time.Duration) time.Duration {
	record, some := ws.conn.Unopened()
	if !ws.assembles() {
		return record
	}
	in := ws.peekInput()
	if in == nil || in.arrival.at <= ws.messaged { // of an earlier message
		in = ws.watchArrival(now)
	}
	p := &in.arrival
	p.moved(ws.reader.Buffered(), now)
	if some {
		return min(max(now-p.at, 0), record)
	}
	return max(now-p.at, 0)
}

// watchArrival begins to watch what comes of the message that is assembled, which
// began after the last one had come.
func (ws *WebSocket) watchArrival(now time.Duration) *input {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	in := ws.inputLocked()
	in.arrival = progress{n: ws.reader.Buffered(), at: max(now, ws.messaged+1)}
	return in
}
