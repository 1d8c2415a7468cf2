package engine

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/backoff"
	"github.com/fanloop-go/fanloop/loop"
)

// SetNow gives c another clock.
func (c *Certificates) SetNow(now func() time.Time) { c.files.SetNow(now) }

// HubLeft counts what the topics of s consist of.
func HubLeft(s *Server) (topics, parts, subs, slow int) { return s.settings.hub.Left() }

// LoopOf returns the number of the loop that owns ws.
func LoopOf(ws *WebSocket) int { return ws.conn.Loop().Index() }

// Pinged makes ws one that was pinged now and whose PongTimeout has begun. On
// the owning loop.
func Pinged(ws *WebSocket) {
	ws.heard, ws.owes = ws.conn.Loop().Now(), true
	ws.arm(deadlinePong, ws.settings().limits.PongTimeout)
}

// WithClock gives p another time and chance.
func (p ReconnectPolicy) WithClock(now func() time.Time, sleep func(context.Context, time.Duration) error, rand func(int64) int64) ReconnectPolicy {
	p.clock = &backoff.Clock{Now: now, Sleep: sleep, Rand: rand}
	return p
}

// HoldWrites keeps everyone else from writing to ws until release is called.
func HoldWrites(ws *WebSocket) (release func()) {
	ws.conn.Lock()
	return ws.conn.Unlock
}

// SetIterationBudget gives the loops of s, which has not started, another budget.
func SetIterationBudget(s *Server, cost loop.Cost) { s.budget = cost }

// Unread says whether something waits to be read from ws. On its loop.
func Unread(ws *WebSocket) bool { return ws.conn.Unread() }

// Inflating counts the connections of the loop of ws that have inflated a part of
// a message. On that loop.
func Inflating(ws *WebSocket) (n int) {
	eachOpen(ws.conn.Loop(), func(ws *WebSocket) {
		ws.conn.Lock()
		defer ws.conn.Unlock()
		if in := ws.knownInputLocked(); in != nil && in.waiting != nil && in.waiting.inflater != nil {
			n++
		}
	})
	return n
}

// SetClock gives the loops of s, which has not started, another clock.
func SetClock(s *Server, now func() time.Duration) { s.clock = now }

// Turn returns when every loop of s has acted on the time, and on what it was given
// before.
func Turn(s *Server) {
	for _, l := range s.group.Loops() {
		for range 2 { // timers come after the mail of a turn
			done := make(chan struct{})
			if l.Do(func() { close(done) }) == nil {
				<-done
			}
		}
	}
}

// IsOpen says whether ws is open and nobody has asked for its end.
func IsOpen(ws *WebSocket) bool { return ws.out.IsOpen() }

// PhaseOf names the phase of ws.
func PhaseOf(ws *WebSocket) string { return ws.phase().String() }

// Deadlines are what a timer may have been set for.
var Deadlines = []string{"handshake", "ping", "pong", "idle", "progress", "expiry", "close"}

// Expire lets the timer of ws fire as one that was set for what, long ago. It
// returns when that has happened.
func Expire(ws *WebSocket, what string) {
	done := make(chan struct{})
	err := ws.conn.Do(func() {
		defer close(done)
		const long = 10 * time.Hour
		now, set := ws.conn.Loop().Now(), ws.timer
		for d := deadlineNone; d <= deadlineClose; d++ {
			if d.String() == what {
				ws.timer = d
			}
		}
		stale := !ws.timer.in(ws.phase())
		switch ws.timer {
		case deadlinePing:
			ws.heard = now - long
		case deadlinePong:
			ws.heard, ws.owes = now-long/2, true
		case deadlineIdle:
			ws.messaged = now - long
		}
		(*handler)(ws).OnTimer()
		if stale { // the timer of the phase goes on
			ws.timer = set
		}
	})
	if err == nil {
		<-done
	}
}

// Shed makes ws one that the policy for slow subscribers closes.
func Shed(ws *WebSocket) { ws.shed() }

// GiveUp makes ws one that is dropped for what is queued for it.
func GiveUp(ws *WebSocket) { ws.giveUp() }

// ReadsLater says whether ws holds what has arrived until Dispatch or its turn on the loop
// lets it go on.
func ReadsLater(ws *WebSocket) bool { return ws.paused.Load()&(pausedByDispatch|pausedForTurn) != 0 }

// Dispatched says whether all that was given to the workers of s is done.
func Dispatched(s *Server) bool {
	d := s.settings.dispatcher
	if d == nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ready) == 0 && len(d.idle) == len(d.workers)
}

// Workers returns how many goroutines s has for Dispatch.
func Workers(s *Server) int {
	d := s.settings.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.workers)
}

// Socket calls fn with the descriptor of ws, unless it has ended.
func Socket(ws *WebSocket, fn func(fd int)) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if fd := reflect.ValueOf(&ws.conn).Elem().FieldByName("fd").Int(); fd >= 0 {
		fn(int(fd))
	}
}

// Hold keeps the loops of s from going on until release is called.
func Hold(s *Server) (release func()) {
	done := make(chan struct{})
	for _, l := range s.group.Loops() {
		held := make(chan struct{})
		if l.Do(func() { close(held); <-done }) == nil {
			<-held
		}
	}
	return sync.OnceFunc(func() { close(done) })
}

// Relieve is relieve of the loop that owns ws, with atOnce places looked at in each
// iteration. On the owning loop.
func Relieve(s *Server, ws *WebSocket, atOnce int) {
	(&relief{server: s, loop: ws.conn.Loop(), atOnce: atOnce}).begin()
}

// SameSettings says whether two connections share what they go by.
func SameSettings(a, b *WebSocket) bool { return a.settings() == b.settings() }

// Receive gives b to ws as if it had arrived. On the owning loop.
func Receive(ws *WebSocket, b []byte) { (*handler)(ws).OnData(b) }
