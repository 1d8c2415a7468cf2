package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

func TestEveryKindMakesItsFigures(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want []string
	}{
		{Spec{Kind: Echo, Conns: 10}, []string{"rate", report.CPU, report.Wall, report.TotalCPU, "client_us", "p50_ns", "max_ns", "allocs"}},
		{Spec{Kind: Echo, Conns: 10, Rate: 100, Window: 500 * time.Millisecond}, []string{"rate", "p999_ns"}},
		{Spec{Kind: Fanout, Conns: 10, Burst: 3, Publishers: 2}, []string{"rate", report.CPU, "last_p50_ns", "last_p99_ns"}},
		{Spec{Kind: Connect, Conns: 4}, []string{"rate", report.CPU, "p99_ns"}},
		{Spec{Kind: Idle, Conns: 50}, []string{"rss_conn", "rss_more", "rss", "kernel_conn", "open_rate"}},
		{Spec{Kind: Slow, Conns: 20, Rate: 50}, []string{"reach", "p99_ns", "calm_p99_ns", "rss_grown", "dropped"}},
		{Spec{Kind: Storm, Conns: 30}, []string{"back_s", "retries", report.CPU}},
		{Spec{Kind: Soak, Conns: 5, Rate: 50, Window: 500 * time.Millisecond}, []string{"slope", "rss"}},
	} {
		t.Run(string(c.spec.Kind), func(t *testing.T) {
			cfg := config(t, c.spec)
			results := run(t, cfg, func(results []report.Result) error {
				if results[0].Latency.Count() == 0 {
					return fmt.Errorf("%w: all latencies", errFew)
				}
				return has(results[0], c.want...)
			})
			if len(results) != 2 || len(results[0].Rounds) != 2 || len(results[1].Rounds) != 2 {
				t.Fatalf("results %+v", results)
			}
		})
	}
}

// Where a scenario needs TLS or compression, servers that have it are asked for
// it, others are left out and said so, and fanloop is measured without it too.
func TestNeedsAreMet(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string // a figure
		wire float64
	}{
		{Spec{Kind: Echo, Conns: 10, TLS: true}, report.CPU, 0},
		{Spec{Kind: Connect, Conns: 4, TLS: true}, report.CPU, 0},
		{Spec{Kind: Idle, Conns: 20, TLS: true}, "rss_conn", 0},
		{Spec{Kind: Idle, Conns: 20, Compression: load.Takeover}, "rss_conn", 0},
		{Spec{Kind: Fanout, Conns: 10, Compression: load.Deflate}, report.CPU, 650},
		{Spec{Kind: Echo, Conns: 10, TLS: true, Compression: load.Takeover}, report.CPU, 650},
	} {
		t.Run(c.spec.withDefaults().Name, func(t *testing.T) {
			cfg := config(t, c.spec)
			cfg.Servers[0].Name, cfg.Servers[0].Does = report.Ours, map[string][]string{
				"tls": {"tls"}, "deflate": {"deflate"}, "takeover": {"takeover"},
			}
			results := run(t, cfg, func(results []report.Result) error {
				return errors.Join(has(results[0], c.want), has(results[1], c.want))
			})
			if len(results) != 3 || results[0].Server != report.Ours || results[1].Server != report.Plain {
				t.Fatalf("results %+v", results)
			}
			needs := cfg.Specs[0].needs()
			if results[0].Without != nil || !slices.Equal(results[1].Without, needs) {
				t.Errorf("without %v and %v, want nothing and %v", results[0].Without, results[1].Without, needs)
			}
			if got := results[2]; got.Missing != "it has no "+needs[0] || got.Failed != "" || len(got.Rounds) != 0 {
				t.Errorf("the server that cannot: %+v", got)
			}
			if c.wire > 0 {
				if got, plain := results[0].Figures("wire_msg")[0], results[1].Figures("wire_msg")[0]; got > c.wire || plain != 1024 {
					t.Errorf("%.0f bytes a message, %.0f without compression", got, plain)
				}
			}
		})
	}
}

// A server that knows no topics would deliver to everybody.
func TestTopicsAreForServersThatKnowThem(t *testing.T) {
	cfg := config(t, Spec{Kind: Fanout, Conns: 4, Publishers: 2, Topics: 2})
	cfg.Servers[0].Topics, cfg.Servers[1].Plain = true, true
	results := run(t, cfg, func(results []report.Result) error { return has(results[0], report.CPU) })
	if got := results[1]; got.Missing != "it has no topics" || got.Failed != "" || len(got.Rounds) != 0 {
		t.Errorf("the server that cannot: %+v", got)
	}
}

func TestServerThatIsToldWrongFailsTheRun(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2, Compression: load.Deflate})
	cfg.Servers = cfg.Servers[:1]
	cfg.Servers[0].Does = DoesAsItStands()
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "does not agree") {
		t.Errorf("error %v", err)
	}
	for target, spec := range map[string]Spec{"ws://127.0.0.1:1/": {Kind: Echo, TLS: true}, "wss://127.0.0.1:1/": {Kind: Echo}} {
		cfg := config(t, spec)
		cfg.Servers = []Server{{Name: "runs", Target: target, Does: DoesAsItStands()}}
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "TLS is for both") {
			t.Errorf("%s: error %v", target, err)
		}
	}
}

func TestRoundsAreInterleaved(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2, Rate: 100, Window: 500 * time.Millisecond})
	var order []string
	cfg.Progress = func(p Progress) {
		if p.Done {
			order = append(order, fmt.Sprintf("%s%d", p.Server, p.Round))
		}
	}
	run(t, cfg, func([]report.Result) error { return nil })
	order = order[len(order)-4:] // a run before may have ended early
	if want := []string{"a1", "b1", "a2", "b2"}; !slices.Equal(order, want) {
		t.Fatalf("order %v, want %v", order, want)
	}
}

// All servers are up and connected before the first slice, take turns, and have the
// same number of rounds.
func TestServersTakeTurnsInSlices(t *testing.T) {
	for _, spec := range []Spec{
		{Kind: Echo, Conns: 6, InFlight: 4}, {Kind: Fanout, Conns: 6, Burst: 2}, {Kind: Connect, Conns: 3},
		{Kind: Echo, Conns: 6, TLS: true}, {Kind: Fanout, Conns: 7, Processes: 2, Publishers: 2},
	} {
		t.Run(spec.withDefaults().Name, func(t *testing.T) {
			spec.Rounds = 3
			cfg := config(t, spec)
			for i := range cfg.Servers {
				cfg.Servers[i].Does = map[string][]string{"tls": {"tls"}}
			}
			var order []string
			part := 0.0
			cfg.Progress = func(p Progress) {
				order = append(order, fmt.Sprintf("%s%d", p.Server, p.Round))
				if p.Part < part || p.Part > 1 {
					t.Errorf("%g of the run is over, after %g", p.Part, part)
				}
				part = p.Part
			}
			results, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"a0", "b0", "a1", "b1", // started, and warmed up
				"a1", "b1", "b1", "a1", "b2", "a2", "a2", "b2", "a3", "b3", "b3", "a3"}
			if !slices.Equal(order, want) {
				t.Errorf("order\n%v, want\n%v", order, want)
			}
			for _, r := range results {
				if len(r.Rounds) != 3 || r.Latency.Count() == 0 {
					t.Fatalf("%d rounds and %d latencies of %s", len(r.Rounds), r.Latency.Count(), r.Server)
				}
				for _, key := range []string{report.CPU, report.Wall, "client_us", "rate"} {
					if values := r.Figures(key); len(values) != 3 || slices.Min(values) <= 0 {
						t.Errorf("%s of %s: %v", key, r.Server, values)
					}
				}
				if r.Whole[report.TotalCPU] <= 0 || r.Whole["p50_ns"] <= 0 {
					t.Errorf("all slices of %s: %v", r.Server, r.Whole)
				}
			}
		})
	}
}

// A server that ends while it is measured is left out or ends the run; what was
// measured before is kept.
func TestServerThatEndsBetweenItsSlicesIsSaidSo(t *testing.T) {
	for _, keepGoing := range []bool{false, true} {
		cfg := config(t, Spec{Kind: Echo, Conns: 2, Rounds: 4})
		p, err := cfg.Servers[0].start(t.Context(), Spec{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		cfg.Servers[0] = Server{Name: "a", Target: p.target}
		cfg.KeepGoing = keepGoing
		cfg.Progress = func(s Progress) {
			if s.Server == "b" && s.Round == 3 {
				p.stop()
			}
		}
		results, err := Run(t.Context(), cfg)
		if (err == nil) != keepGoing || len(results) != 2 {
			t.Fatalf("%d results, error %v", len(results), err)
		}
		if keepGoing && (results[0].Failed == "" || len(results[1].Rounds) != 4) {
			t.Errorf("results %+v", results)
		}
		if !keepGoing && (!strings.Contains(err.Error(), "a: ") || len(results[1].Rounds) < 2) {
			t.Errorf("error %v, results %+v", err, results)
		}
	}
}

func TestClientsMayBeSeveralProcesses(t *testing.T) {
	for _, spec := range []Spec{
		{Kind: Echo, Conns: 11, Processes: 3},
		{Kind: Echo, Conns: 11, Processes: 3, Rate: 100, Window: 500 * time.Millisecond},
		{Kind: Fanout, Conns: 11, Processes: 3, Publishers: 2},
		{Kind: Storm, Conns: 11, Processes: 3},
	} {
		cfg := config(t, spec)
		cfg.Servers = cfg.Servers[:1]
		if results := run(t, cfg, func([]report.Result) error { return nil }); results[0].Figures("rate")[0] == 0 {
			t.Fatalf("%s: no rate", spec.Kind)
		}
	}
}

func TestServerThatEndsIsBlamed(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2})
	cfg.Servers[1] = Server{Name: "broken", Command: []string{self(t), asFailure}}
	_, err := Run(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "broken: the server ended (exit status 1): the licence has run out") {
		t.Fatalf("error %v", err)
	}
	cfg.KeepGoing = true
	results, err := Run(t.Context(), cfg)
	if err != nil || len(results[0].Rounds) != 2 || !strings.Contains(results[1].Failed, "licence") {
		t.Fatalf("results %+v, error %v", results, err)
	}
}

func TestClientProcessThatEndsIsSaidSo(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2})
	cfg.Generator = []string{self(t), asFailure}
	_, err := Run(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "a client process ended") || !strings.Contains(err.Error(), "licence") {
		t.Fatalf("error %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(t, Spec{Kind: Echo, Conns: 2, Window: time.Hour})
	cfg.Progress = func(Progress) { cancel() }
	if _, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
}

func TestRunningServerIsMeasuredByItsURL(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2})
	p, err := cfg.Servers[0].start(t.Context(), Spec{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	cfg.Servers = []Server{{Name: "known", Target: p.target, PID: p.pid}, {Name: "far", Target: p.target}}
	results, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(results[0].Figures(report.CPU)) == 0 || len(results[1].Figures(report.CPU)) != 0 {
		t.Error("CPU time belongs to the server whose process is known")
	}
	cfg.Specs = []Spec{{Kind: Idle, Conns: 2, Rounds: 1}}
	cfg.Servers = cfg.Servers[1:]
	if _, err := Run(t.Context(), cfg); !errors.Is(err, errNoMemory) {
		t.Errorf("error %v, want one about the memory", err)
	}
}

func TestServersAndClientsArePinned(t *testing.T) {
	servers, clients := DefaultCPUs()
	if servers == nil {
		t.Skip("one CPU")
	}
	cfg := config(t)
	p, err := cfg.Servers[0].start(t.Context(), Spec{}, servers)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Skip(err)
	}
	if want := fmt.Sprintf("Cpus_allowed_list:\t%v\n", servers); !strings.Contains(string(status), want) {
		t.Errorf("the server may use other CPUs than %v; clients get %v", servers, clients)
	}
	if _, err := cfg.Servers[0].start(t.Context(), Spec{}, CPUs{1000}); err == nil || !strings.Contains(err.Error(), "cannot be used here") {
		t.Errorf("error %v", err)
	}
}

func TestTooManyConnectionsForTheServerAreRefused(t *testing.T) {
	_, err := Run(t.Context(), config(t, Spec{Kind: Idle, Conns: load.MaxConns() + 1}))
	if err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Fatalf("error %v", err)
	}
}
