package loop

import (
	"fmt"
	"slices"
	"testing"
)

// idle is a connection whose peer does nothing.
func idle(t *testing.T, g *Group) *scripted {
	t.Helper()
	s := newScripted()
	serveOne(t, g, nil, s)
	return s
}

// turnsOf gives each connection its turns: while work is left, a turn does as much
// as the loop lets it and puts off the rest. It returns the order of turns.
func turnsOf(t *testing.T, b Backend, work map[string]Cost, keep bool) (order []string) {
	t.Helper()
	g := start(t, Config{Backend: b, IterationBudget: 1000})
	done := make(chan struct{})
	left := len(work)
	names := make([]string, 0, len(work))
	for name := range work {
		names = append(names, name)
	}
	slices.Sort(names)
	var conns []*scripted
	for range names {
		conns = append(conns, idle(t, g))
	}
	if err := g.Loops()[0].Do(func() {
		for i, name := range names {
			var turn func(c *Conn)
			turn = func(c *Conn) {
				order = append(order, name)
				part := min(work[name], c.Loop().Left())
				c.Loop().Charge(part)
				switch work[name] -= part; {
				case work[name] == 0:
					if left--; left == 0 {
						close(done)
					}
				case !keep || !c.KeepTurn(turn):
					c.Defer(turn)
				}
			}
			conns[i].event(func(c *Conn) { c.Defer(turn) })
		}
	}); err != nil {
		t.Fatal(err)
	}
	receive(t, done)
	return order
}

// R-b: who waits gets its turn in order, each as much of the budget as the others.
func TestTurnsGoRound(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		const turn = eventAllowance + 1000
		got := turnsOf(t, b, map[string]Cost{"a": 3 * turn, "b": turn, "c": 2 * turn}, false)
		if want := []string{"a", "b", "c", "a", "c", "a"}; !slices.Equal(got, want) {
			t.Errorf("the turns were %v, want %v", got, want)
		}
		got = turnsOf(t, b, map[string]Cost{"a": 3 * turn, "b": turn, "c": 2 * turn}, true)
		if want := []string{"a", "a", "a", "b", "c", "c"}; !slices.Equal(got, want) {
			t.Errorf("with turns that are kept they were %v, want %v", got, want)
		}
	})
}

// R-b: what an event may spend. The first takes the budget of the iteration, later
// ones have their allowances, and those alone as long as somebody waits.
func TestBudgetOfAnIteration(t *testing.T) {
	g := start(t, Config{IterationBudget: 1000})
	a, b := idle(t, g), idle(t, g)
	l := g.Loops()[0]
	var seen []string
	note := func(what string) { seen = append(seen, fmt.Sprint(what, " ", l.Left())) }
	done := make(chan struct{})
	if err := l.Do(func() {
		l.meter.begin()
		note("fresh")
		l.Charge(eventAllowance - 1)
		note("allowance spent")
		l.Charge(501)
		note("half of the budget spent")
		l.meter.begin()
		note("next event")
		l.Charge(eventAllowance + 600)
		note("budget spent")
		if l.Spend(1) != true {
			t.Error("small work is put off too soon")
		}
		if l.Spend(eventLimit) != false {
			t.Error("small work is not put off")
		}
		l.meter.begin()
		note("third event")
		a.event(func(c *Conn) {
			if !c.KeepTurn(func(c *Conn) {
				note("turn")
				c.Loop().Charge(eventAllowance + 999)
				note("budget spent again")
				c.Loop().EndTurn()
				note("turn ended")
			}) {
				t.Error("nobody waits, and the turn is not kept")
			}
		})
		b.event(func(c *Conn) {
			if c.KeepTurn(nil) {
				t.Error("a turn is kept where another waits")
			}
			l.meter.left = 1000
			l.meter.begin()
			note("while another waits")
			c.Defer(func(*Conn) { close(done) })
		})
	}); err != nil {
		t.Fatal(err)
	}
	receive(t, done)
	want := []string{"fresh 33768", "allowance spent 1001", "half of the budget spent 500", "next event 33268", "budget spent 0",
		"third event 32768", "while another waits 32768", "turn 33768", "budget spent again 1", "turn ended 0"}
	if !slices.Equal(seen, want) {
		t.Errorf("got  %q\nwant %q", seen, want)
	}
}

// Whoever ends while it waits has no turn.
func TestEndedConnectionHasNoTurn(t *testing.T) {
	g := start(t, Config{})
	a, b := idle(t, g), idle(t, g)
	done := make(chan struct{})
	if err := g.Loops()[0].Do(func() {
		a.event(func(c *Conn) { c.Defer(func(*Conn) { t.Error("a turn after the end") }) })
		b.event(func(c *Conn) { c.Defer(func(*Conn) { close(done) }) })
		a.Close(CloseNow)
		a.event(func(*Conn) {})
	}); err != nil {
		t.Fatal(err)
	}
	receive(t, done)
}

func TestLineKeepsItsOrder(t *testing.T) {
	var q line
	var want []*Conn
	for i := range 2000 {
		switch c := new(Conn); {
		case i%3 == 2:
			if got := q.pop(); got.c != want[0] {
				t.Fatal(i)
			}
			want = want[1:]
		case i%7 == 0:
			q.pushFirst(deferral{c: c})
			want = append([]*Conn{c}, want...)
		default:
			q.push(deferral{c: c})
			want = append(want, c)
		}
		if q.len() != len(want) || q.empty() != (len(want) == 0) {
			t.Fatal(i, q.len(), len(want))
		}
	}
}
