package loop

import (
	"testing"
)

// stalled is a connection whose peer does not read, with something queued.
func stalled(t *testing.T, g *Group) *scripted {
	t.Helper()
	s := newScripted()
	serveOne(t, g, nil, s)
	fill(t, &s.Conn)
	return s
}

// undisturbed runs fn while the loops of g wait for it, and so send nothing of what is
// queued: the kernel takes more at any time.
func undisturbed(t *testing.T, g *Group, fn func()) {
	t.Helper()
	for _, l := range g.loops {
		rest := fn
		fn = func() { onLoop(t, l, rest) }
	}
	fn()
}

// R-c: what connections share is in memory once, and each of them has a part of it.
func TestSharedBytesCountOnceHoweverManyHoldThem(t *testing.T) {
	needs(t, fullSockets)
	g := start(t, Config{Loops: 2})
	a, b := stalled(t, g), stalled(t, g)
	shared := NewShared(make([]byte, 1<<20))
	undisturbed(t, g, func() {
		own := g.loops[0].Held() + g.loops[1].Held()
		for _, s := range []*scripted{a, b, b} {
			if err := s.WriteShared(shared); err != nil {
				t.Error(err)
			}
		}
		if n := g.loops[0].Held() + g.loops[1].Held() - own; n < 1<<20 || n > 1<<20+4096 {
			t.Errorf("the loops hold %d bytes more, want 1 MiB", n)
		}
	})
	if n := g.Shared(); n != shared.Cost() {
		t.Errorf("%d bytes are shared, want %d", n, shared.Cost())
	}
	if part := g.loops[0].SharedPart(); part < 0.33 || part > 0.34 {
		t.Errorf("each of three places has a part of %v", part)
	}
	a.Lock()
	_, referred := a.HeldLocked()
	a.Unlock()
	if referred != shared.Cost() {
		t.Errorf("one connection refers to %d bytes, want %d", referred, shared.Cost())
	}
	b.Close(CloseReset)
	receive(t, b.closed)
	if n := g.Shared(); n != shared.Cost() {
		t.Errorf("after one of two has left, %d bytes are shared", n)
	}
	a.Close(CloseReset)
	receive(t, a.closed)
	if n := g.Shared() + g.loops[0].Held() + g.loops[1].Held() + g.loops[0].Queued() + g.loops[1].Queued(); n != 0 {
		t.Errorf("%d bytes are held by nobody", n)
	}
}

// A Shared stays with the group that had it first, also when another sends it last.
func TestSharedBytesOfTwoGroupsAreCountedByOne(t *testing.T) {
	g, h := start(t, Config{}), start(t, Config{})
	a, b := stalled(t, g), stalled(t, h)
	shared := NewShared(make([]byte, 1<<20))
	for _, s := range []*scripted{a, b} {
		if err := s.WriteShared(shared); err != nil {
			t.Fatal(err)
		}
	}
	a.Close(CloseReset)
	receive(t, a.closed)
	if g.Shared() != shared.Cost() || h.Shared() != 0 {
		t.Errorf("the groups count %d and %d", g.Shared(), h.Shared())
	}
	b.Close(CloseReset)
	receive(t, b.closed)
	if g.Shared() != 0 || h.Shared() != 0 {
		t.Errorf("at the end the groups count %d and %d", g.Shared(), h.Shared())
	}
}

// R-c: small frames wait in a copy, whatever is queued between them.
func TestSmallSharedFramesAreCopiedTogether(t *testing.T) {
	for name, between := range map[string]int{"alone": 0, "between large ones": 1000} {
		t.Run(name, func(t *testing.T) {
			g := start(t, Config{})
			l, s := g.loops[0], stalled(t, g)
			var held, queued int
			undisturbed(t, g, func() {
				held, queued = l.HeldFor(UseQueues), l.Queued()
				small, large := NewShared([]byte("abc")), NewShared(make([]byte, 1<<10))
				for i := range 100_000 {
					_ = s.WriteShared(small)
					if between > 0 && i%between == 0 {
						_ = s.WriteShared(large)
					}
				}
				held, queued = l.HeldFor(UseQueues)-held, l.Queued()-queued
			})
			if n, most := held, queued*6/5; n > most {
				t.Errorf("the queue takes %d bytes of memory, want at most %d", n, most)
			}
			if between == 0 && g.Shared() > 0 {
				t.Error("small frames are referred to")
			}
		})
	}
}

// What a socket takes at once is not counted, and so costs nothing to count.
func TestWhatIsSentAtOnceIsNotCounted(t *testing.T) {
	g := start(t, Config{})
	s := newScripted()
	serveOne(t, g, nil, s)
	shared := NewShared(make([]byte, 1000))
	onLoop(t, s.Loop(), func() {
		s.Lock()
		defer s.Unlock()
		if err := s.QueueSharedLocked([]*Shared{shared, shared}); err != nil {
			t.Error(err)
		}
		if n := shared.places.Load(); n != 0 {
			t.Errorf("%d places are counted of a frame that is about to be sent", n)
		}
		s.FlushLocked()
		if s.out != nil {
			t.Error("the socket did not take two frames")
		}
	})
}

// The budget of a loop, through its whole course.
func TestOverBudgetIsToldOnceUntilItIsRelieved(t *testing.T) {
	const budget = 64 << 20
	told := make(chan *Loop, 10)
	g := start(t, Config{Loops: 2, Budget: 2 * budget, OnOverBudget: func(l *Loop) { told <- l }})
	s := stalled(t, g)
	l := s.Loop()
	var rest int
	undisturbed(t, g, func() {
		if rest = budget - l.Held(); l.Budget() != budget || rest <= 0 {
			t.Errorf("the part of a loop is %d, of which %d are left", l.Budget(), rest)
		}
		l.Hold(UseReceived, rest)
		if l.Over() || l.Spent(0) || !l.Spent(1) {
			t.Error("a budget that is used up is not exceeded, but by one byte more")
		}
	})
	if got := receive(t, told); got != l || !l.Over() {
		t.Errorf("loop %d is told, want %d; over is %t", got.index, l.index, l.Over())
	}
	wantErr(t, s.Write(nil, []byte("more")), ErrBackpressure)
	l.Hold(UseReceived, budget) // too much, whatever of the queue is sent
	onLoop(t, l, func() {})
	if len(told) != 0 {
		t.Error("it is told again before it is relieved")
	}
	l.Relieved()
	if got := receive(t, told); got != l {
		t.Errorf("loop %d is told, want %d", got.index, l.index)
	}
	l.Hold(UseReceived, -rest-budget)
	l.Relieved()
	if err := s.Write(nil, []byte("more")); l.Over() || err != nil {
		t.Errorf("relieved: over is %t, a write returns %v", l.Over(), err)
	}
}

func TestHoldHereIsSeenAfterTheIterationOrWhenItIsMuch(t *testing.T) {
	g := start(t, Config{})
	l := g.loops[0]
	onLoop(t, l, func() {
		l.HoldHere(UseReceived, 1000)
		if n := l.HeldFor(UseReceived); n != 0 {
			t.Errorf("%d bytes are counted at once", n)
		}
		l.HoldHere(UseReceived, freshMost)
		if n := l.HeldFor(UseReceived); n != 1000+freshMost {
			t.Errorf("%d bytes are counted of much", n)
		}
		l.HoldHere(UseReceived, -1000)
	})
	eventually(t, "the iteration has ended", func() bool { return l.HeldFor(UseReceived) == freshMost })
}

// Each of many connections is looked at once, some at a time.
func TestEachOfGoesThroughAllConnections(t *testing.T) {
	g := start(t, Config{})
	const conns = 10
	for range conns {
		serveOne(t, g, nil, newScripted())
	}
	l := g.loops[0]
	onLoop(t, l, func() {
		seen, from, steps := make(map[*Conn]int), 0, 0
		for {
			before := len(seen)
			from = l.EachOf(from, 3, func(c *Conn) { seen[c]++ })
			if steps++; len(seen)-before > 3 {
				t.Errorf("%d at a time", len(seen)-before)
			}
			if from == 0 {
				break
			}
		}
		if len(seen) != conns || steps < conns/3 {
			t.Errorf("%d of %d connections in %d steps", len(seen), conns, steps)
		}
		for _, n := range seen {
			if n != 1 {
				t.Errorf("one is seen %d times", n)
			}
		}
	})
}

// What a connection gives back at the end of its loop counts.
func TestHoldHereIsSeenAfterTheEnd(t *testing.T) {
	g, s := start(t, Config{}), newScripted()
	serveOne(t, g, nil, s)
	l := s.Loop()
	onLoop(t, l, func() { l.HoldHere(UseReceived, 1000) })
	eventually(t, "it is counted", func() bool { return l.HeldFor(UseReceived) == 1000 })
	s.onClose = func(*scripted, error) { l.HoldHere(UseReceived, -1000) }
	stop(t, g)
	if n := l.HeldFor(UseReceived); n != 0 {
		t.Errorf("%d bytes are held by nobody", n)
	}
}
