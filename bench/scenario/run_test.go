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
		{Spec{Kind: Echo, Conns: 10}, []string{"rate", report.CPU, "client_us", "p50_ns", "max_ns", "allocs"}},
		{Spec{Kind: Echo, Conns: 10, Rate: 100, Window: 500 * time.Millisecond}, []string{"rate", "p999_ns"}},
		{Spec{Kind: Fanout, Conns: 10, Burst: 3, Publishers: 2}, []string{"rate", report.CPU, "last_p50_ns", "last_p99_ns"}},
		{Spec{Kind: Connect, Conns: 4}, []string{"rate", report.CPU, "p99_ns"}},
		{Spec{Kind: Idle, Conns: 50}, []string{"rss_conn", "rss", "kernel_conn", "open_rate"}},
		{Spec{Kind: Slow, Conns: 20, Rate: 50}, []string{"reach", "p99_ns", "calm_p99_ns", "rss_grown", "dropped"}},
		{Spec{Kind: Storm, Conns: 30}, []string{"back_s", "retries", report.CPU}},
		{Spec{Kind: Soak, Conns: 5, Rate: 50, Window: 500 * time.Millisecond}, []string{"slope", "rss"}},
	} {
		t.Run(string(c.spec.Kind), func(t *testing.T) {
			cfg := config(t, c.spec)
			results, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != 2 || len(results[0].Rounds) != 2 || len(results[1].Rounds) != 2 {
				t.Fatalf("results %+v", results)
			}
			for _, key := range c.want {
				if len(results[0].Figures(key)) != 2 {
					t.Errorf("%s is missing in %v", key, results[0].Rounds)
				}
			}
			if results[0].Latency.Count() == 0 {
				t.Error("no latencies are kept")
			}
		})
	}
}

func TestRoundsAreInterleaved(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2})
	var order []string
	cfg.Progress = func(p Progress) {
		if p.Done {
			order = append(order, fmt.Sprintf("%s%d %d/%d", p.Server, p.Round, p.Step, p.Steps))
		}
	}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a1 1/4", "b1 2/4", "a2 3/4", "b2 4/4"}; !slices.Equal(order, want) {
		t.Fatalf("order %v, want %v", order, want)
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
		results, err := Run(t.Context(), cfg)
		if err != nil || results[0].Figures("rate")[0] == 0 {
			t.Fatalf("%s: %v", spec.Kind, err)
		}
	}
}

func TestServerThatEndsIsBlamed(t *testing.T) {
	cfg := config(t, Spec{Kind: Echo, Conns: 2})
	cfg.Servers[1] = Server{Name: "broken", Command: []string{self(t), asFailure}}
	results, err := Run(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "broken: the server ended (exit status 1): the licence has run out") {
		t.Fatalf("error %v", err)
	}
	if len(results[0].Rounds) != 1 {
		t.Errorf("%d rounds of the other server are kept, want 1", len(results[0].Rounds))
	}
	cfg.KeepGoing = true
	results, err = Run(t.Context(), cfg)
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
	p, err := cfg.Servers[0].start(t.Context(), nil)
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
	p, err := cfg.Servers[0].start(t.Context(), servers)
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
	if _, err := cfg.Servers[0].start(t.Context(), CPUs{1000}); err == nil || !strings.Contains(err.Error(), "cannot be used here") {
		t.Errorf("error %v", err)
	}
}

func TestTooManyConnectionsForTheServerAreRefused(t *testing.T) {
	_, err := Run(t.Context(), config(t, Spec{Kind: Idle, Conns: load.MaxConns() + 1}))
	if err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Fatalf("error %v", err)
	}
}
