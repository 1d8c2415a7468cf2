package loop

import (
	"testing"
	"time"
)

// The model is a map from connection to deadline. A timer may fire one tick
// late and never early, and the wheel must not wait past a timer.
func TestWheelFiresNeverEarlyAndAtMostOneTickLate(t *testing.T) {
	random := newRandom(t)
	starts := []time.Duration{0, 511 * tickLength, 1<<32*tickLength - time.Second} // the last: due wraps
	for _, now := range starts {
		conns := make([]Conn, 200)
		w := wheelOf(conns)
		w.sweep(now)
		model := make(map[*Conn]time.Duration)
		for range 20000 {
			c := &conns[random.IntN(len(conns))]
			switch random.IntN(4) {
			case 0, 1:
				spans := []time.Duration{1, tickLength, time.Second, 10 * time.Second, time.Minute}
				at := now + time.Duration(random.Int64N(int64(spans[random.IntN(len(spans))])))
				w.arm(c, at)
				model[c] = at
			case 2:
				w.disarm(c)
				delete(model, c)
			case 3:
				wait := w.wait(now)
				checkWait(t, now, wait, model)
				now += time.Duration(random.Int64N(int64(tickLength) * 3))
				checkSweep(t, now, w.sweep(now), model)
			}
		}
		for len(model) > 0 {
			wait := w.wait(now)
			if wait < 0 {
				t.Fatalf("%d timers are armed and the wheel waits for none", len(model))
			}
			now += wait
			checkSweep(t, now, w.sweep(now), model)
		}
		if wait := w.wait(now); wait >= 0 {
			t.Errorf("an empty wheel waits %v", wait)
		}
	}
}

// wheelOf returns a wheel for conns.
func wheelOf(conns []Conn) *wheel {
	w := &wheel{table: &connTable{shared: new(pages)}}
	for fd := range conns {
		conns[fd].fd = int32(fd)
		w.table.put(fd, &conns[fd])
	}
	return w
}

func checkWait(t *testing.T, now, wait time.Duration, model map[*Conn]time.Duration) {
	t.Helper()
	for _, at := range model {
		if wait < 0 || now+wait > max(at, now)+tickLength {
			t.Fatalf("at %v the wheel waits %v with a timer at %v", now, wait, at)
		}
	}
}

func checkSweep(t *testing.T, now time.Duration, due []*Conn, model map[*Conn]time.Duration) {
	t.Helper()
	for _, c := range due {
		at, armed := model[c]
		if !armed {
			t.Fatalf("at %v a timer fired that was taken back", now)
		}
		if at > now {
			t.Fatalf("at %v a timer for %v fired", now, at)
		}
		delete(model, c)
	}
	for _, at := range model {
		if at+tickLength <= now {
			t.Fatalf("at %v a timer for %v has not fired", now, at)
		}
	}
}

func TestTimersOfAYearDoNotFireEarly(t *testing.T) {
	conns := make([]Conn, 1)
	w := wheelOf(conns)
	now := time.Hour
	w.sweep(now)
	w.arm(&conns[0], now+maxTimer)
	for range 10000 {
		now += time.Duration(wheelSlots) * tickLength
		if due := w.sweep(now); len(due) > 0 {
			t.Fatalf("a timer of a year fired after %v", now)
		}
	}
	if due := w.sweep(time.Hour + maxTimer + tickLength); len(due) != 1 {
		t.Error("a timer of a year did not fire after a year")
	}
}

func TestTimerFires(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b, BlockedAfter: -1})
		fired := make(chan time.Duration, 8)
		set := func(s *scripted) { s.SetTimer(20 * time.Millisecond) }
		s := newScripted()
		var from time.Duration
		s.onTimer = func(s *scripted) { fired <- s.Loop().Now() - from }
		// Nothing but the timer ends the wait of the poller after these.
		s.onOpen = func(s *scripted) { from = s.Loop().Now(); set(s) }
		s.onData = func(s *scripted, _ []byte) { from = s.Loop().Now(); set(s) }
		peer := serveOne(t, g, nil, s)
		for _, event := range []string{"OnOpen", "OnData"} {
			if event == "OnData" {
				if _, err := peer.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			if d := receive(t, fired); d < 20*time.Millisecond {
				t.Errorf("set in %s for 20ms, fired after %v", event, d)
			}
		}
	})
}

func TestShorterTimerEndsALongerWait(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b, BlockedAfter: -1})
		long, s := newScripted(), newScripted()
		serveOne(t, g, nil, long)
		onLoop(t, g.Loops()[0], func() { long.SetTimer(time.Hour) })
		fired := make(chan struct{}, 1)
		s.onTimer = func(*scripted) { fired <- struct{}{} }
		s.onData = func(s *scripted, _ []byte) { s.SetTimer(time.Millisecond) }
		peer := serveOne(t, g, nil, s)
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		receive(t, fired)
	})
}

// Two timers come due in one sweep, and the first to be told takes the other
// back: that one must not fire.
func TestTimerTakenBackInTheSameSweepDoesNotFire(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		var pair [2]*scripted
		fired := make(chan int, 4)
		for i := range pair {
			s := newScripted()
			s.onTimer = func(*scripted) {
				fired <- i
				pair[1-i].SetTimer(0)
			}
			serveOne(t, g, nil, s)
			pair[i] = s
		}
		l := g.Loops()[0]
		onLoop(t, l, func() {
			pair[0].SetTimer(time.Millisecond)
			pair[1].SetTimer(time.Millisecond)
		})
		receive(t, fired)
		onLoop(t, l, func() {})
		if len(fired) != 0 {
			t.Error("a timer fired that was taken back")
		}
	})
}

func TestTimerOfAClosedConnectionDoesNotFire(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s, witness := newScripted(), newScripted()
		serveOne(t, g, nil, s)
		serveOne(t, g, nil, witness)
		fired := make(chan struct{}, 1)
		witness.onTimer = func(*scripted) { fired <- struct{}{} }
		onLoop(t, g.Loops()[0], func() {
			s.SetTimer(time.Millisecond)
			s.Close(CloseNow)
			witness.SetTimer(5 * tickLength)
		})
		receive(t, s.closed)
		receive(t, fired)
		onLoop(t, g.Loops()[0], func() {
			if s.timed == timerArmed {
				t.Error("a connection that has ended is still in the wheel")
			}
		})
		s.checkOrder(t)
	})
}

// HastenTimer sets a timer that is off or later, and leaves one that comes sooner.
func TestHastenTimerOnlyHastens(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b, BlockedAfter: -1})
		s := newScripted()
		fired := make(chan struct{}, 1)
		s.onTimer = func(*scripted) { fired <- struct{}{} }
		serveOne(t, g, nil, s)
		hasten := func(d time.Duration, want bool) {
			t.Helper()
			onLoop(t, g.Loops()[0], func() {
				if set := s.HastenTimer(d); set != want {
					t.Errorf("HastenTimer(%v): %v, want %v", d, set, want)
				}
			})
		}
		hasten(2*time.Hour, true)
		hasten(3*time.Hour, false)
		hasten(2*maxTimer, false)
		hasten(time.Hour, true)
		onLoop(t, g.Loops()[0], func() { s.SetTimer(2 * time.Hour) })
		hasten(time.Hour, true)
		hasten(time.Millisecond, true)
		receive(t, fired)
		hasten(time.Hour, true) // it is off
	})
}
