package engine

import (
	"log/slog"
	"math/bits"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// relief drops the connections of one loop that hold most, until a tenth of its
// budget is free again. It looks at them twice, some in each iteration: first to
// find the mark, which is how much those have to hold that are dropped, and then to
// drop them. Owned by the loop.
type relief struct {
	server *Server
	loop   *loop.Loop
	atOnce int // connections that are looked at in one iteration
	next   int // where the look continues

	sums   [sizeClasses]int // what the connections of each size hold
	total  int              // what all of them hold
	mark   int              // the least size that is dropped
	excess int              // what those of just that size have to give
	part   float64          // see loop.SharedPart
	shed   int              // connections that were dropped
}

const (
	// lookAtOnce is relief.atOnce: what takes a loop well below a millisecond.
	lookAtOnce = 2048
	// classBits tell sizes apart between a power of two and the next: by an eighth.
	classBits   = 3
	sizeClasses = 64 << classBits
	// reliefPause is how long a loop that has no connection to drop waits before it looks
	// again: what is held then waits for topics with a delay, or for workers.
	reliefPause = 50 * time.Millisecond
)

// sizeClass orders sizes roughly.
func sizeClass(n int) int {
	exp := bits.Len(uint(n))
	if exp <= classBits+1 {
		return n
	}
	shift := exp - classBits - 1
	return shift<<classBits + n>>shift
}

// relieve begins what OnOverBudget asks for. On the loop.
func (s *Server) relieve(l *loop.Loop) {
	(&relief{server: s, loop: l, atOnce: lookAtOnce}).begin()
}

func (r *relief) begin() {
	if r.enough() {
		r.end()
		return
	}
	r.part = r.loop.SharedPart()
	r.weigh()
}

// goal is how much the loop may hold afterwards.
func (r *relief) goal() int { return r.loop.Budget() / 10 * 9 }

func (r *relief) enough() bool { return r.loop.Held() <= r.goal() }

// then runs fn in the next iteration.
func (r *relief) then(fn func()) { _ = r.loop.Do(fn) } // ended: no connection is left

// weigh looks at some connections, to know what those of each size hold.
func (r *relief) weigh() {
	r.next = r.loop.EachOf(r.next, r.atOnce, func(c *loop.Conn) {
		if ws := webSocketOf(c); ws != nil {
			n := ws.holds(r.part)
			r.sums[sizeClass(n)] += n
			r.total += n
		}
	})
	if r.next > 0 {
		r.then(r.weigh)
		return
	}
	// No connection is dropped for what ended ones left to workers.
	pending := r.server.settings.hub.Behind(r.loop.Index())
	r.setMark(r.total + pending - r.goal())
	r.drop()
}

// setMark finds the least size that has to be dropped to give up so much.
func (r *relief) setMark(excess int) {
	r.excess = excess
	for r.mark = sizeClasses - 1; r.mark > 0; r.mark-- {
		if r.sums[r.mark] >= r.excess {
			return
		}
		r.excess -= r.sums[r.mark]
	}
}

// drop drops those of some connections that are at the mark or above.
func (r *relief) drop() {
	if r.enough() { // by those that were dropped, or left by themselves
		r.end()
		return
	}
	r.next = r.loop.EachOf(r.next, r.atOnce, r.dropIfLarge)
	if r.next > 0 {
		r.then(r.drop)
		return
	}
	r.then(func() { r.then(r.end) }) // what was dropped is freed in the iteration before
}

func (r *relief) dropIfLarge(c *loop.Conn) {
	ws := webSocketOf(c)
	if ws == nil {
		return
	}
	n := ws.holds(r.part)
	class := sizeClass(n)
	switch {
	case n == 0 || class < r.mark || class == r.mark && r.excess <= 0:
		return
	case class == r.mark:
		r.excess -= n
	}
	r.shed++
	ws.giveUp()
}

// giveUp drops a connection because of what it holds. Any goroutine.
func (ws *WebSocket) giveUp() {
	ws.conn.Lock()
	ws.out.NoteLocked(outlet.AskRelief)
	ws.conn.Unlock()
	ws.conn.Close(loop.CloseReset)
}

// end allows writes again, or begins anew if that was not enough.
func (r *relief) end() {
	if r.shed > 0 {
		s := r.server
		s.overloads.Log(s.settings.log, slog.LevelWarn,
			"engine: Limits.MaxMemory is spent; the connections that held most are dropped",
			slog.Int("loop", r.loop.Index()), slog.Int("dropped", r.shed), slog.Int("budget", r.loop.Budget()))
	}
	if r.shed == 0 && r.loop.Spent(0) {
		time.AfterFunc(reliefPause, r.loop.Relieved)
		return
	}
	r.loop.Relieved()
}

// webSocketOf returns the WebSocket that c is part of; nil if it is not one.
func webSocketOf(c *loop.Conn) *WebSocket {
	h, _ := c.Handler().(*handler)
	return (*WebSocket)(h)
}

// holds returns what dropping ws would free: its own, and part of what it shares.
// On the loop.
func (ws *WebSocket) holds(part float64) int {
	ws.conn.Lock()
	own, shared := ws.conn.HeldLocked()
	var l *lane
	if x := ws.extras; x != nil {
		if in := x.input; in != nil {
			own += cap(in.held) + in.kept
			if in.waiting != nil {
				own += in.waiting.counted
			}
		}
		l = x.lane
	}
	ws.conn.Unlock()
	own += ws.reader.Held() + l.waiting(ws.settings().dispatcher)
	if u, ok := ws.upgrade(); ok {
		own += u.held
	}
	if m := ws.member.Load(); m != nil {
		o, s := m.Holds()
		own, shared = own+o, shared+s
	}
	return own + int(part*float64(shared))
}
