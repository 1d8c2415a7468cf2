//go:build linux

package engine_test

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// pass lets time pass, in most cases less than any limit.
func (w *world) pass() {
	most := w.shortest() / 2
	switch n := w.rng.IntN(100); {
	case n < 75:
		w.step(tick + time.Duration(w.rng.Int64N(int64(most))))
	case n < 85:
		w.step(time.Duration(w.rng.Int64N(int64(5 * time.Second))))
	default:
		w.standStill(most)
	}
}

// shortest is the shortest of the limits in time.
func (w *world) shortest() time.Duration {
	l, least := &w.limits, time.Minute
	for _, d := range []time.Duration{l.PingInterval, l.PongTimeout, l.WriteTimeout, l.ReadTimeout, l.IdleTimeout, l.CloseTimeout} {
		if d > 0 {
			least = min(least, d)
		}
	}
	return least
}

// step lets d pass. In real time it is only a moment.
func (w *world) step(d time.Duration) {
	if w.clock == nil {
		time.Sleep(time.Duration(w.rng.IntN(3000)) * time.Microsecond)
		return
	}
	w.steps.add(w.now()+d, int(d))
	w.longest = max(w.longest, d)
	w.clock.step(d)
	engine.Turn(w.srv)
}

// longestStep is the longest of those that ended after that time.
func (w *world) longestStep(since time.Duration) (d time.Duration) {
	for i := len(w.steps) - 1; i >= 0 && w.steps[i].at > since; i-- {
		d = max(d, time.Duration(w.steps[i].n))
	}
	return d
}

// standStill is time in which the server does not run, and the peers do (T10).
func (w *world) standStill(most time.Duration) {
	release := engine.Hold(w.srv)
	defer engine.Turn(w.srv)
	defer engine.Turn(w.srv)
	defer release()
	if w.clock == nil {
		time.Sleep(time.Duration(w.rng.IntN(50)) * time.Millisecond)
		return
	}
	from := w.now()
	for range 2 + w.rng.IntN(8) {
		w.clock.now.Add(int64(tick + time.Duration(w.rng.Int64N(int64(most)))))
		for _, s := range w.alive {
			s.peer.begin()
		}
		for again, waves := true, 0; again && waves < 4; waves++ {
			again = w.pump()
			w.arrive()
		}
		w.sample()
	}
	w.steps.add(w.now(), int(w.now()-from))
	w.longest = max(w.longest, w.now()-from)
}

// settle waits until everything that was sent has arrived, and the loops have acted
// on it: the kernel may deliver late.
func (w *world) settle() {
	before := uint64(0)
	w.wait("the connections are quiet", func() bool {
		done := engine.Dispatched(w.srv) // before the turn, which reads on where a worker ended a pause
		engine.Turn(w.srv)
		if w.clock == nil {
			return true
		}
		n, quiet := w.traffic()
		n += w.srv.Stats().MessagesIn // those of the turn went to workers
		same := n == before
		before = n
		return done && quiet && same && engine.Dispatched(w.srv)
	})
}

// arrive waits until what was sent has arrived, while the loops stand still.
func (w *world) arrive() {
	w.wait("the kernel delivers", func() bool {
		for _, s := range w.alive {
			here, there, ok := s.kernels()
			if ok && there != nil && !(here.arrived(there, w.late) && there.arrived(&here, w.late)) {
				return false
			}
		}
		return true
	})
}

// overdue is how long the kernel may take to deliver what it did not drop.
const overdue = 3 * time.Second

// wait waits for what takes no time as a rule.
func (w *world) wait(what string, cond func() bool) {
	w.late = false
	for tries, start := 0, time.Now(); !cond(); tries++ {
		w.late = time.Since(start) > overdue
		switch {
		case tries < 100:
			runtime.Gosched()
		case time.Since(start) < patience:
			time.Sleep(50 * time.Microsecond)
		default:
			w.t.Fatalf("not reached: %s%s", what, w.noise())
		}
	}
}

// traffic is the number of bytes that went through the kernel so far; quiet says that
// none are on their way.
func (w *world) traffic() (n uint64, quiet bool) {
	quiet = true
	for _, s := range w.alive {
		bytes, still := s.traffic()
		n += bytes
		quiet = quiet && still
	}
	return n, quiet
}

func (s *subject) traffic() (n uint64, quiet bool) {
	here, there, ok := s.kernels()
	if !ok {
		return 0, true
	}
	n = here.sent + here.received
	if engine.ReadsLater(s.ws) {
		return n, false
	}
	if there == nil {
		return n, s.isPaused() || here.sawEnd()
	}
	n += there.sent + there.received
	reads := s.isPaused() || here.unread == 0 && (!s.peer.fin || here.sawEnd()) // a window that is closed keeps a FIN out
	return n, reads && here.arrived(there, s.w.late) && there.arrived(&here, s.w.late)
}

// kernels are both ends of the connection; ok is false if the server's has ended,
// there is nil if the peer's is closed.
func (s *subject) kernels() (here kernel, there *kernel, ok bool) {
	engine.Socket(s.ws, func(fd int) { here, ok = look(fd), true })
	if k, up := s.peer.socket.kernel(); up && !s.peer.left {
		there = &k
	}
	return here, there, ok
}

// noise tells which connections are not quiet.
func (w *world) noise() string {
	var all strings.Builder
	for _, s := range w.alive {
		if _, quiet := s.traffic(); !quiet {
			fmt.Fprintf(&all, "\n%s", s.describe())
		}
	}
	return all.String()
}
