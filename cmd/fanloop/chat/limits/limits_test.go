package limits_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/limits"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// driven is a clock that a test moves.
type driven struct {
	*limits.Clock
	at atomic.Int64
}

func newDriven() *driven {
	d := &driven{}
	d.at.Store(int64(time.Hour))
	d.Clock = limits.NewDrivenClock(func() time.Duration { return time.Duration(d.at.Load()) })
	return d
}

// pass moves the clock while the server runs.
func (d *driven) pass(by time.Duration) {
	for ; by > 0; by -= 100 * time.Millisecond {
		d.at.Add(int64(min(by, 100*time.Millisecond)))
		d.Tick()
	}
}

// still moves the clock while the server stands still.
func (d *driven) still(by time.Duration) { d.at.Add(int64(by)) }

func newTable(t testing.TB, d *driven, l limits.Limits, max int) *limits.Table[string] {
	t.Helper()
	table, err := limits.New[string](limits.Config{Limits: l, Max: max, Clock: d.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func connect(t testing.TB, table *limits.Table[string], key string) *limits.Place[string] {
	t.Helper()
	p, err := table.Connect(key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// allowed is how many commands of a cost are taken at once, up to 1000.
func allowed(p *limits.Place[string], cost float64) (n int) {
	for n < 1000 && p.Allow(cost, 0) == nil {
		n++
	}
	return n
}

func exceeded(err error) limits.What {
	if e, ok := errors.AsType[*limits.Error](err); ok && errors.Is(err, limits.ErrLimit) {
		return e.What
	}
	return ""
}

// A burst at once, then by rate, and the time until the next is exact.
func TestRate(t *testing.T) {
	d := newDriven()
	p := connect(t, newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 10, Burst: 5}}, 0), "ann")
	if n := allowed(p, 1); n != 5 {
		t.Errorf("%d at once", n)
	}
	e, _ := errors.AsType[*limits.Error](p.Allow(1, 0))
	if e == nil || e.Retry != 100*time.Millisecond {
		t.Fatalf("%+v", e)
	}
	d.pass(e.Retry - time.Nanosecond)
	if n := allowed(p, 1); n != 0 {
		t.Errorf("%d a little early", n)
	}
	d.pass(time.Nanosecond)
	if n := allowed(p, 1); n != 1 {
		t.Errorf("%d at the time", n)
	}
	d.pass(time.Hour)
	if n := allowed(p, 1); n != 5 {
		t.Errorf("%d after an hour: more than a burst", n)
	}
	d.pass(time.Second)
	if n := allowed(p, 2.5); n != 2 {
		t.Errorf("%d of cost 2.5", n)
	}
	d.pass(time.Second)
	if n := allowed(p, 1e300); n != 1 {
		t.Errorf("%d of a cost above the burst", n)
	}
}

// In the long run nobody gets more than the rate, however he asks.
func TestRateOverTime(t *testing.T) {
	d := newDriven()
	p := connect(t, newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 7, Burst: 3}}, 0), "ann")
	n := 0
	for range 1000 {
		d.pass(37 * time.Millisecond)
		n += allowed(p, 1)
	}
	if n < 259 || n > 262 {
		t.Errorf("%d in 37 s", n)
	}
}

// X51 and the like: while the server stands still, clients go on sending. What they
// sent at their rate is taken when it goes on, before and after the clock has noticed,
// and no more than that.
func TestServerStandsStill(t *testing.T) {
	for name, noticed := range map[string]bool{"before Tick": false, "after Tick": true} {
		d := newDriven()
		table := newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 10, Burst: 5}}, 0)
		steady, greedy := connect(t, table, "steady"), connect(t, table, "greedy")
		for range 20 {
			d.pass(100 * time.Millisecond)
			if err := steady.Allow(1, 0); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		d.still(10 * time.Second)
		if noticed {
			d.Tick()
		}
		for n := range 100 {
			if err := steady.Allow(1, 0); err != nil {
				t.Fatalf("%s: number %d of what was sent meanwhile: %v", name, n, err)
			}
		}
		if n := allowed(greedy, 1); n != 105 {
			t.Errorf("%s: %d for one who sends all he can", name, n)
		}
		d.pass(4 * time.Second)
		if n := allowed(greedy, 1); n != 5 {
			t.Errorf("%s: %d afterwards", name, n)
		}
	}
}

// However long it stood still, 30 s count.
func TestStandingStillIsBounded(t *testing.T) {
	d := newDriven()
	p := connect(t, newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 10, Burst: 5}}, 0), "ann")
	d.still(10 * time.Hour)
	if n := allowed(p, 1); n != 305 {
		t.Errorf("%d before Tick", n)
	}
	d.Tick()
	if n := allowed(p, 1); n != 0 {
		t.Errorf("%d more after Tick", n)
	}
	d.still(10 * time.Hour)
	d.Tick()
	if n := allowed(p, 1); n != 305 {
		t.Errorf("%d after Tick", n)
	}
}

func TestConnectionsAndTopics(t *testing.T) {
	table := newTable(t, newDriven(), limits.Limits{Connections: 2, Topics: 3}, 0)
	a, b := connect(t, table, "ann"), connect(t, table, "ann")
	if _, err := table.Connect("ann"); exceeded(err) != limits.Connections {
		t.Error(err)
	}
	connect(t, table, "ben")
	for _, p := range []*limits.Place[string]{a, a, b} {
		if err := p.Subscribe(); err != nil {
			t.Error(err)
		}
	}
	if err := b.Subscribe(); exceeded(err) != limits.Topics {
		t.Error(err)
	}
	b.Unsubscribe()
	b.Unsubscribe() // once too often
	if err := a.Subscribe(); err != nil {
		t.Error(err)
	}
	a.Leave()
	a.Leave()
	if err := a.Subscribe(); exceeded(err) != limits.Topics {
		t.Error("after Leave:", err)
	}
	for n := range 3 {
		if err := b.Subscribe(); err != nil {
			t.Error(n, err)
		}
	}
	if err := b.Subscribe(); exceeded(err) != limits.Topics {
		t.Error("one was counted down twice:", err)
	}
	connect(t, table, "ann")
	if _, err := table.Connect("ann"); exceeded(err) != limits.Connections {
		t.Error("a place was given back twice:", err)
	}
}

// New connections have a rate, which holds for who is not connected.
func TestConnects(t *testing.T) {
	d := newDriven()
	table := newTable(t, d, limits.Limits{Connects: limits.Rate{PerSecond: 1, Burst: 3}}, 0)
	for range 3 {
		connect(t, table, "ann").Leave()
	}
	if _, err := table.Connect("ann"); exceeded(err) != limits.Connects {
		t.Error(err)
	}
	d.pass(time.Second)
	connect(t, table, "ann").Leave()
}

func TestBytesAndRequests(t *testing.T) {
	d := newDriven()
	table := newTable(t, d, limits.Limits{Bytes: limits.Rate{PerSecond: 1000, Burst: 4000}, Commands: limits.Rate{PerSecond: 1, Burst: 10}}, 0)
	p := connect(t, table, "ann")
	if err := errors.Join(p.Allow(1, 2000), p.Allow(1, 2000)); err != nil {
		t.Error(err)
	}
	if err := p.Allow(1, 1); exceeded(err) != limits.Bytes {
		t.Error(err)
	}
	for range 8 {
		if err := table.Allow("ann", 1, 0); err != nil {
			t.Error(err)
		}
	}
	if err := table.Allow("ann", 1, 0); exceeded(err) != limits.Commands {
		t.Error("a request counts with the connection:", err)
	}
}

// Memory is bounded by Max and by who is connected; those who are connected are not
// forgotten, nor is who has just used up his rate while there is room.
func TestMemoryIsBounded(t *testing.T) {
	d := newDriven()
	table := newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 0.001, Burst: 1}, Connections: 1}, 100)
	connect(t, table, "ann")
	if err := table.Allow("last", 1, 0); err != nil {
		t.Error(err)
	}
	for n := range 10_000 {
		_ = table.Allow(fmt.Sprint(n), 1, 0)
		_ = table.Allow("last", 1, 0)
		if n == 50 {
			if err := table.Allow("7", 1, 0); exceeded(err) != limits.Commands {
				t.Error("forgotten while there was room:", err)
			}
		}
	}
	if n := table.Len(); n != 101 {
		t.Errorf("%d are remembered", n)
	}
	if err := table.Allow("last", 1, 0); exceeded(err) != limits.Commands {
		t.Error("who was there last is forgotten:", err)
	}
	if _, err := table.Connect("ann"); exceeded(err) != limits.Connections {
		t.Error("who is connected is forgotten:", err)
	}
}

// Who has recovered is forgotten with the time.
func TestRecoveredAreForgotten(t *testing.T) {
	d := newDriven()
	table := newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 1, Burst: 1}}, 0)
	for n := range 1000 {
		_ = table.Allow(fmt.Sprint(n), 1, 0)
	}
	if n := table.Len(); n != 1000 {
		t.Errorf("%d are remembered", n)
	}
	d.pass(2 * time.Second)
	for range 600 {
		connect(t, table, "ann").Leave()
	}
	if n := table.Len(); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}

// One customer of IPv6 is one address, and an address of IPv4 is one however it is
// written.
func TestNetwork(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if same := limits.Network(netip.MustParseAddr(tt.a)) == limits.Network(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s and %s: %v", tt.a, tt.b, same)
		}
	}
	if limits.Network(netip.Addr{}).IsValid() {
		t.Error("no address is one")
	}
}

// What many goroutines take together is no more than the burst, and Allow allocates
// nothing.
func TestAllowTogether(t *testing.T) {
	d := newDriven()
	table := newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 1, Burst: 1000}, Connections: 50, Topics: 100}, 0)
	var taken, topics atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			p, err := table.Connect("ann")
			if err != nil {
				t.Error(err)
				return
			}
			for range 100 {
				if p.Allow(1, 10) == nil {
					taken.Add(1)
				}
				if p.Subscribe() == nil {
					topics.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1000 || topics.Load() != 100 {
		t.Errorf("%d commands, %d topics", taken.Load(), topics.Load())
	}
	p := connect(t, newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 1e9, Burst: 1e9}}, 0), "ann")
	if n := testing.AllocsPerRun(100, func() { _ = p.Allow(1, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The clock that runs by itself ends.
func TestClockEnds(t *testing.T) {
	c := limits.NewClock()
	if c.Now() < 0 {
		t.Error(c.Now())
	}
	c.Close()
	c.Close()
	if _, err := limits.New[string](limits.Config{}); err == nil {
		t.Error("a table without a clock")
	}
}

func Example() {
	clock := limits.NewClock()
	defer clock.Close()
	addresses, err := limits.New[netip.Prefix](limits.Config{
		Limits: limits.Limits{Connections: 1, Commands: limits.Rate{PerSecond: 20, Burst: 100}},
		Clock:  clock,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ann := limits.Network(netip.MustParseAddr("2001:db8::1"))
	place, err := addresses.Connect(ann)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(place.Allow(1, 512))
	_, err = addresses.Connect(limits.Network(netip.MustParseAddr("2001:db8::2")))
	fmt.Println(err)
	place.Leave()
	// Output:
	// <nil>
	// limits: too many connections; end one first
}

// What is owed is taken from what comes next, for half a minute at most. Who owes nothing is
// allowed what costs nothing, though his rate is used up.
func TestOwed(t *testing.T) {
	d := newDriven()
	p := connect(t, newTable(t, d, limits.Limits{Commands: limits.Rate{PerSecond: 10, Burst: 5}}, 0), "ann")
	if n := allowed(p, 1); n != 5 {
		t.Fatalf("%d at once", n)
	}
	if err := p.Allow(0, 0); err != nil {
		t.Errorf("nothing is owed: %v", err)
	}
	p.Owe(10)
	e, _ := errors.AsType[*limits.Error](p.Allow(0, 0))
	if e == nil || e.What != limits.Commands || e.Retry != time.Second {
		t.Fatalf("%+v", e)
	}
	d.pass(time.Second)
	if err := p.Allow(0, 0); err != nil {
		t.Error(err)
	}
	if n := allowed(p, 1); n != 0 {
		t.Errorf("%d when nothing is owed any more", n)
	}
	for range 3 {
		p.Owe(1e9)
	}
	d.pass(30 * time.Second)
	if err := p.Allow(0, 0); err != nil {
		t.Errorf("after half a minute: %v", err)
	}
	free := connect(t, newTable(t, d, limits.Limits{}, 0), "ben")
	free.Owe(1e9)
	if err := free.Allow(1, 0); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}
