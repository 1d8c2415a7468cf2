package load_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// Every way in which a server can fail to deliver, and what the harness must
// find. Each is done once, to the third message of the first connection.
var faults = []struct {
	name  string
	fault func() fault
	want  load.Faults
}{
	{"drops", func() fault {
		return once(func(p []byte) [][]byte { return nil })
	}, load.Faults{Missing: 1}},
	{"duplicates", func() fault {
		return once(func(p []byte) [][]byte { return [][]byte{p, p} })
	}, load.Faults{Duplicated: 1}},
	{"corrupts the payload", func() fault {
		return once(func(p []byte) [][]byte { p[len(p)-1] ^= 1; return [][]byte{p} })
	}, load.Faults{Corrupt: 1, Missing: 1}},
	{"corrupts the order", func() fault {
		return once(func(p []byte) [][]byte { p[5] ^= 1; return [][]byte{p} })
	}, load.Faults{Corrupt: 1, Missing: 1}},
	{"corrupts the time", func() fault {
		return once(func(p []byte) [][]byte { p[9] ^= 1; return [][]byte{p} })
	}, load.Faults{Corrupt: 1, Missing: 1}},
	{"cuts a message", func() fault {
		return once(func(p []byte) [][]byte { return [][]byte{p[:len(p)-1]} })
	}, load.Faults{Corrupt: 1, Missing: 1}},
	{"reorders", func() fault {
		var kept []byte
		return func(client, n int, p []byte) [][]byte {
			switch {
			case client == 0 && n == 2:
				kept = slices.Clone(p)
				return nil
			case client == 0 && n == 3:
				return [][]byte{p, kept}
			}
			return [][]byte{p}
		}
	}, load.Faults{Reordered: 1}},
}

func once(do func(p []byte) [][]byte) fault {
	return func(client, n int, p []byte) [][]byte {
		if client == 0 && n == 2 {
			return do(slices.Clone(p))
		}
		return [][]byte{p}
	}
}

func counts(f load.Faults) load.Faults {
	f.First = ""
	return f
}

func TestServerThatFailsToEchoIsCaught(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, load.Config{Target: serveFaults(t, c.fault()), Conns: 2, InFlight: 4})
			if _, err := g.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, f := work(t, g); counts(f) != c.want || f.First == "" || f.Err() == nil {
				t.Fatalf("found %+v, want %+v", f, c.want)
			}
		})
	}
}

func TestServerThatFailsToFanOutIsCaught(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, load.Config{Target: serveFaults(t, c.fault()), Mode: load.Fanout, Conns: 5, Burst: 8})
			if _, err := g.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, f := work(t, g); counts(f) != c.want || f.First == "" {
				t.Fatalf("found %+v, want %+v", f, c.want)
			}
		})
	}
}

func TestServerThatDeliversHasNoFaults(t *testing.T) {
	for name, cfg := range map[string]load.Config{
		"echo":          {Conns: 3, InFlight: 3},
		"echo at rate":  {Conns: 3, Rate: 500, Tolerant: true}, // of a CPU that cannot hold it
		"fanout":        {Mode: load.Fanout, Conns: 5, Publishers: 2, Burst: 3},
		"large":         {Conns: 2, Size: 100_000},
		"fanout a rate": {Mode: load.Fanout, Conns: 5, Rate: 100, Tolerant: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Target = serveFaults(t, honest)
			if _, f := work(t, open(t, cfg)); !f.None() {
				t.Fatalf("found %+v", f)
			}
		})
	}
}

// A message to another client is not an echo.
func TestMessageOfSomebodyElseIsCaught(t *testing.T) {
	var other atomic.Pointer[[]byte]
	var strayed atomic.Bool
	g := start(t, load.Config{Conns: 2, Target: serveFaults(t, func(client, n int, p []byte) [][]byte {
		if client == 0 && n == 0 {
			kept := slices.Clone(p)
			other.Store(&kept)
		}
		if client == 1 {
			if kept := other.Swap(nil); kept != nil {
				strayed.Store(true)
				return [][]byte{p, *kept}
			}
		}
		return [][]byte{p}
	}), Loops: 1})
	if _, err := g.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := windows(t, g, func(load.Measured) bool { return strayed.Load() })
	if f := settle(t, g, m); f.Corrupt != 1 {
		t.Fatalf("found %+v, want one message that belongs elsewhere", f)
	}
}

func TestDelayIsMeasured(t *testing.T) {
	const delay = 20 * time.Millisecond
	target := serveFaults(t, func(_, _ int, p []byte) [][]byte {
		time.Sleep(delay)
		return [][]byte{p}
	})
	w, _ := work(t, open(t, load.Config{Target: target, Conns: 2}))
	if got := time.Duration(w.Latency.At(0.01)); got < delay {
		t.Fatalf("1 %% of the latencies are below %v, which every message took", got)
	}
}

// A server that stops once for a while must cost the messages that were due
// meanwhile, not only the one that was under way: no coordinated omission.
func TestOpenLoopMeasuresFromTheIntendedTime(t *testing.T) {
	const stall, rate, before = 200 * time.Millisecond, 1000, 20
	// Those due in the first half of the stall wait for its second half or longer.
	const waited = int(rate * (stall / 2) / time.Second)
	m := measure(t, func() (load.Measured, error) {
		g := open(t, load.Config{Conns: 1, Rate: rate, Tolerant: true, Target: serveFaults(t, func(_, n int, p []byte) [][]byte {
			if n == before {
				time.Sleep(stall)
			}
			return [][]byte{p}
		})})
		return g.Measure(t.Context(), 0, 800*time.Millisecond, nil)
	}, func(m load.Measured) bool { return m.Messages > uint64(before+waited) }) // in order: they are among them
	// One in a hundred less, for what is lost in rounding.
	if got := time.Duration(m.Latency.At(1 - 0.99*float64(waited)/float64(m.Messages))); got < stall/2 {
		t.Fatalf("%d of %d messages took less than %v: those due during the stall of %v do not count it", m.Messages-uint64(waited), m.Messages, got, stall)
	}
}
