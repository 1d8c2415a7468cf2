package load_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
)

// seen works for a moment and returns what arrived, all of it.
func seen(t *testing.T, g *load.Generator) load.Window {
	t.Helper()
	published, err := g.Work(t.Context(), 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := g.Settle(t.Context(), published); err != nil || !f.None() {
		t.Fatalf("faults %+v, error %v", f, err)
	}
	w, err := g.Seen()
	if err != nil {
		t.Fatal(err)
	}
	if w.Messages == 0 || w.Seconds <= 0 || w.ClientMicros <= 0 || w.Latency.Count() != int64(w.Messages) {
		t.Fatalf("%d messages, %d latencies, %g s, %g µs of CPU", w.Messages, w.Latency.Count(), w.Seconds, w.ClientMicros)
	}
	return w
}

// What is sent in a slice arrives in it: nothing is under way at either end.
func TestSliceCountsAllThatItSends(t *testing.T) {
	for name, cfg := range map[string]load.Config{
		"echo":      {Conns: 20, InFlight: 16},
		"one":       {Conns: 1},
		"deflate":   {Conns: 5, Compression: load.Deflate},
		"fan-out":   {Mode: load.Fanout, Conns: 20, Publishers: 2, Burst: 5},
		"one topic": {Mode: load.Fanout, Conns: 20, Publishers: 2, Topics: 2},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Target = serve(t, bench.Options{Loops: 2, Compression: cfg.Compression})
			g := open(t, cfg)
			for range 3 {
				w := seen(t, g)
				want := w.Sent
				if cfg.Mode == load.Fanout {
					want *= uint64(cfg.Conns / max(cfg.Topics, 1))
				}
				if w.Messages != want {
					t.Fatalf("%d messages arrived, want %d for the %d sent", w.Messages, want, w.Sent)
				}
				if cfg.Mode == load.Fanout && w.Last.Count() != int64(w.Sent) {
					t.Fatalf("%d publishes reached everybody, %d were sent", w.Last.Count(), w.Sent)
				}
			}
		})
	}
}

// The time from the last arrival to the moment at which the harness notices is no
// part of a slice.
func TestSliceEndsWithTheLastArrival(t *testing.T) {
	g := open(t, load.Config{Target: serveFanloop(t, 1), Conns: 2, Loops: 1})
	began := time.Now()
	published, err := g.Work(t.Context(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Settle(t.Context(), published); err != nil {
		t.Fatal(err)
	}
	most := time.Since(began)
	time.Sleep(50 * time.Millisecond)
	if w, err := g.Seen(); err != nil || w.Seconds <= 0 || w.Seconds > most.Seconds() {
		t.Fatalf("a slice of %g s, of which %v had passed when all had arrived; error %v", w.Seconds, most, err)
	}
}

// A slice of handshakes ends when the last connection has ended: the next slice of
// another server finds the machine at rest.
func TestSliceOfHandshakesLeavesNoneUnderWay(t *testing.T) {
	s := &standIn{fault: honest}
	g := start(t, load.Config{Target: serveStandIn(t, s, nil), Mode: load.Connect, Conns: 8})
	var total uint64
	for range 3 {
		total += seen(t, g).Messages
		s.mu.Lock()
		served := uint64(len(s.clients))
		s.mu.Unlock()
		if served != total {
			t.Fatalf("%d handshakes were counted, %d were served", total, served)
		}
	}
}

func TestServerThatHangsInASliceIsSaidSo(t *testing.T) {
	t.Parallel() // it waits
	target := serveFaults(t, func(_, n int, p []byte) [][]byte {
		if n > 10 {
			return nil
		}
		return [][]byte{p}
	})
	g := open(t, load.Config{Target: target, Conns: 1, Deadline: deadline})
	published, err := g.Work(t.Context(), window)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := g.Settle(t.Context(), published); err != nil || f.Missing != 1 {
		t.Fatalf("faults %+v, error %v", f, err)
	}
}
