package scenario

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// machine is what fake contenders run on, over the clock of a synctest bubble. It is
// slow for 3 s of every 7, gets slower all the time, and no slice is like another.
type machine struct {
	began  time.Time
	random *rand.Rand
	last   *fake // who was on turn
}

func newMachine() *machine {
	return &machine{began: time.Now(), random: rand.New(rand.NewPCG(1, 2))}
}

// slowness is by what everything is slower now.
func (m *machine) slowness() float64 {
	at := time.Since(m.began)
	slow := 1 + at.Seconds()/60
	if at%(7*time.Second) < 3*time.Second {
		slow *= 1.4
	}
	return slow * (1 + 0.02*m.random.NormFloat64())
}

// fake is a contender that costs what it is told to.
type fake struct {
	*machine
	cost    time.Duration // CPU of a message on a fast machine
	cold    time.Duration // CPU besides, when another was on turn before
	garbage time.Duration // CPU that follows the answers of a work, at once
	idle    float64       // part of a CPU that it uses all the time
	fails   int           // the work that fails; 0: none

	works int
	used  time.Duration
	until time.Time // when the garbage is gone
}

var errFake = errors.New("it fell over")

func (f *fake) work(d time.Duration) (load.Window, error) {
	if f.works++; f.works == f.fails {
		return load.Window{}, errFake
	}
	if f.last != f {
		f.used += f.cold
	}
	f.last = f
	each := float64(f.cost) * f.slowness()
	n := int(float64(d)/each) + 1
	f.used += time.Duration(float64(n)*each) + f.garbage
	time.Sleep(d)
	f.until = time.Now().Add(f.garbage)
	return load.Window{Messages: uint64(n), Seconds: d.Seconds(), ClientMicros: 1}, nil
}

func (f *fake) cpu() (time.Duration, bool, error) {
	still := max(0, time.Until(f.until))
	return f.used - still + time.Duration(f.idle*float64(time.Since(f.began))), true, nil
}

// rotate has fakes take turns in a bubble, and summarizes: the first is the base.
func rotate(t *testing.T, s Spec, fakes ...func(*machine) *fake) (r rotation, summaries []report.Summary) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		r.spec = s.withDefaults()
		r.turn = func(int, int) {}
		r.failed = func(int, error) error { return nil }
		for _, f := range fakes {
			r.entrants = append(r.entrants, &entrant{contender: f(m)})
		}
		if err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var results []report.Result
		for i, e := range r.entrants {
			result := report.Result{Scenario: "fake", Kind: string(Echo), Server: string(rune('a' + i))}
			if e.out {
				result.Failed = errFake.Error()
			}
			e.sum(r.spec, &result, r.lasted())
			results = append(results, result)
		}
		summaries = report.Summarize(results, []string{"a"})
	})
	return r, summaries
}

func costing(cost time.Duration) func(*machine) *fake {
	return func(m *machine) *fake { return &fake{machine: m, cost: cost} }
}

func wantRatio(t *testing.T, s report.Summary, want float64) {
	t.Helper()
	if len(s.Ratios) == 0 {
		t.Fatalf("%s has no ratio: %+v", s.Server, s)
	}
	got := s.Ratios[0]
	if got.Low > want || got.High < want || got.High-got.Low > 0.03 {
		t.Errorf("%s is %v, want an interval of 0.03 at most with %.3f in it", s.Server, got, want)
	}
}

// A server that costs 1.05 of another is found to, though the machine changes by far
// more than that from slice to slice.
func TestRotationFindsAFewPerCent(t *testing.T) {
	r, summaries := rotate(t, Spec{Kind: Echo, Time: time.Minute},
		costing(4000), costing(4200), costing(3960), costing(4000))
	wantRatio(t, summaries[1], 1.05)
	wantRatio(t, summaries[2], 0.99)
	wantRatio(t, summaries[3], 1)
	if n := len(r.entrants[0].rounds); n < 60 {
		t.Errorf("%d rounds in a minute", n)
	}
}

// What a change of the server costs is not the server's.
func TestColdCachesDoNotCount(t *testing.T) {
	_, summaries := rotate(t, Spec{Kind: Echo, Rounds: 40}, costing(4000),
		func(m *machine) *fake { return &fake{machine: m, cost: 4200, cold: 20 * time.Millisecond} })
	wantRatio(t, summaries[1], 1.05)
}

// What a server leaves to do when everything is answered is part of what it costs,
// and of no slice of another.
func TestWorkAfterTheAnswersCounts(t *testing.T) {
	const garbage = 5 * time.Millisecond // of slices of 100 ms
	_, summaries := rotate(t, Spec{Kind: Echo, Rounds: 40}, costing(4000),
		func(m *machine) *fake { return &fake{machine: m, cost: 4000, garbage: garbage} })
	wantRatio(t, summaries[1], 1.05)
}

func TestServerThatIsBusyOffTurnIsSaidSo(t *testing.T) {
	_, summaries := rotate(t, Spec{Kind: Echo, Rounds: 20}, costing(4000),
		func(m *machine) *fake { return &fake{machine: m, cost: 4000, idle: 0.01} },
		func(m *machine) *fake { return &fake{machine: m, cost: 4000, idle: 0.10} })
	for i, want := range []float64{0, 0.01, 0.10} {
		if got := summaries[i].Figures[report.OffTurn].Median; got < want-0.001 || got > want+0.001 {
			t.Errorf("%s used %.3f of a CPU off turn, want %.3f", summaries[i].Server, got, want)
		}
	}
	if note := summaries[2].Note; note != "used 10 % of a CPU while others were on turn" {
		t.Errorf("note %q", note)
	}
}

// Everybody is on turn twice a round, and in the end as often in each place.
func TestOrderGoesThereAndBackFromAnotherContender(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2, 2, 1, 0}, {1, 2, 0, 0, 2, 1}, {2, 0, 1, 1, 0, 2}, {0, 1, 2, 2, 1, 0}} {
		if got := thereAndBack(3, round); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}

func TestRotationLastsAsLongAsItIsTold(t *testing.T) {
	for _, c := range []struct {
		spec        Spec
		least, most int
	}{
		{Spec{Kind: Echo, Rounds: 3}, 3, 3},
		{Spec{Kind: Echo, Time: time.Millisecond}, fewestRounds, fewestRounds},
		{Spec{Kind: Echo, Slice: time.Second, Time: time.Minute}, 12, 13}, // rounds of 2 x 2 x 1.1 s
	} {
		r, _ := rotate(t, c.spec, costing(4000), costing(4000))
		for i, e := range r.entrants {
			if n := len(e.rounds); n < c.least || n > c.most {
				t.Errorf("%+v: %d rounds of %d, want %d to %d", c.spec, n, i, c.least, c.most)
			}
		}
	}
}

// A contender that fails takes no further part; the others have all their rounds.
func TestRotationGoesOnWithoutOneThatFails(t *testing.T) {
	failing := func(at int) func(*machine) *fake {
		return func(m *machine) *fake { return &fake{machine: m, cost: 4000, fails: at} }
	}
	r, summaries := rotate(t, Spec{Kind: Echo, Rounds: 8}, costing(4000), failing(1), failing(10), costing(4200))
	for i, want := range []int{8, 0, 2, 8} { // a round is four works, after the one to warm up
		if n := len(r.entrants[i].rounds); n != want || r.entrants[i].out != (want < 8) {
			t.Errorf("%d rounds of %d, want %d; out %v", n, i, want, r.entrants[i].out)
		}
	}
	if len(summaries[3].Ratios) == 0 || len(summaries[2].Ratios) != 0 {
		t.Errorf("ratios %v and %v, want one and none", summaries[3].Ratios, summaries[2].Ratios)
	}
	if r, _ := rotate(t, Spec{Kind: Echo, Time: time.Hour}, failing(1), failing(2)); r.goesOn(0) {
		t.Error("it goes on with nobody left")
	}
}

func TestRotationEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := newMachine()
		r := rotation{spec: Spec{Kind: Echo, Time: time.Hour}.withDefaults(), entrants: []*entrant{{contender: costing(4000)(m)}},
			failed: func(_ int, err error) error { return err },
			turn: func(_, round int) {
				if round == 3 {
					cancel()
				}
			}}
		if err := r.run(ctx); !errors.Is(err, context.Canceled) || len(r.entrants[0].rounds) != 3 {
			t.Errorf("%d rounds, error %v", len(r.entrants[0].rounds), err)
		}
	})
}
