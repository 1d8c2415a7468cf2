package loop

import (
	"sync/atomic"
	"testing"
	"time"
)

// An alarm runs once, not before its time; a later call replaces it, and nil takes it back.
func TestAlarmRunsAtItsTime(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		var now atomic.Int64
		g := start(t, Config{Backend: b, BlockedAfter: -1, Clock: func() time.Duration { return time.Duration(now.Load()) }})
		l := g.Loops()[0]
		var rang []string
		set := func(at time.Duration, name string) {
			onLoop(t, l, func() { l.SetAlarm(at, func() { rang = append(rang, name) }) })
		}
		want := func(when string, n int) {
			t.Helper()
			for range 2 { // the first one lets the loop see the time
				onLoop(t, l, func() {})
			}
			onLoop(t, l, func() {
				if len(rang) != n {
					t.Errorf("%s: %q, want %d of them", when, rang, n)
				}
			})
		}
		set(30*time.Millisecond, "replaced")
		set(20*time.Millisecond, "first")
		now.Store(int64(20*time.Millisecond - 1))
		want("before its time", 0)
		now.Store(int64(20 * time.Millisecond))
		want("at its time", 1)
		now.Store(int64(time.Second))
		want("after it", 1)
		set(2*time.Second, "taken back")
		onLoop(t, l, func() { l.SetAlarm(0, nil) })
		now.Store(int64(time.Hour))
		want("taken back", 1)
		set(time.Minute, "past")
		want("in the past", 2)
	})
}

// Nothing but the alarm ends the wait of the poller, whether it is set in mail or in an event.
func TestAlarmEndsTheWait(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b, BlockedAfter: -1})
		l := g.Loops()[0]
		rang := make(chan time.Duration, 1)
		const d = 5 * time.Millisecond
		set := func() {
			at := l.Now() + d
			l.SetAlarm(at, func() { rang <- l.Now() - at })
		}
		s := newScripted()
		s.onData = func(*scripted, []byte) { set() }
		peer := serveOne(t, g, nil, s)
		onLoop(t, l, set)
		if late := receive(t, rang); late < 0 {
			t.Errorf("%v before its time", -late)
		}
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if late := receive(t, rang); late < 0 {
			t.Errorf("%v before its time", -late)
		}
	})
}
