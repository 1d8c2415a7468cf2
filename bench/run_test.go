package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lines collects the progress of a run, without the figures.
type lines struct{ text []string }

func (l *lines) Write(p []byte) (int, error) {
	what, _, _ := strings.Cut(string(p), ":")
	l.text = append(l.text, what)
	return len(p), nil
}

func small(servers ...Server) Config {
	return Config{
		Servers: servers, Rounds: 2, Window: 50 * time.Millisecond, WarmUp: time.Millisecond,
		Settle: time.Millisecond, Patience: 10 * time.Second, ServerCPU: "0", ClientCPU: "0",
	}
}

func TestRoundsAreInterleaved(t *testing.T) {
	programs := programs(t)
	var progress lines
	config := small(Server{Name: "twin", Command: []string{programs.Floor, "{port}"}, GivesBack: true})
	config.Progress = &progress
	var err error
	if config.Scenarios, err = ParseScenarios("echo4x64,echo2x1kx3,handshake4,idle8"); err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), programs, config)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(progress.text[:4], ","), "echo4x64 1/2 floor,echo4x64 1/2 twin,echo4x64 2/2 floor,echo4x64 2/2 twin"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if len(results) != 8 {
		t.Fatalf("%d results, want 8", len(results))
	}
	for _, r := range results {
		if len(r.Windows)+len(r.Memory) != 2 {
			t.Errorf("%s of %s: %d rounds, want 2", r.Scenario, r.Server, len(r.Windows)+len(r.Memory))
		}
		for _, w := range r.Windows {
			if w.ServerMicros <= 0 {
				t.Errorf("%s of %s used no CPU: %+v", r.Scenario, r.Server, w)
			}
		}
		for _, m := range r.Memory {
			if m.Before == 0 || m.Settled == 0 || (m.GivenBack == 0) == (r.Server == "twin") {
				t.Errorf("%s of %s: %+v", r.Scenario, r.Server, m)
			}
		}
	}
	wantRoundTrip(t, Report{Results: results, Flags: []string{"-rounds", "2"}})
}

func wantRoundTrip(t *testing.T, report Report) {
	t.Helper()
	base := filepath.Join(t.TempDir(), "echo")
	if err := report.WriteFiles(base); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	var before, after bytes.Buffer
	if err := report.WriteMarkdown(&before); err != nil {
		t.Fatal(err)
	}
	if err := back.WriteMarkdown(&after); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(base + ".md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before.Bytes(), after.Bytes()) || !bytes.Equal(before.Bytes(), md) {
		t.Errorf("the files differ from the report:\n%s\n%s\n%s", before.String(), after.String(), md)
	}
}

func TestServerThatIsDownEndsTheRunWithOneLine(t *testing.T) {
	programs := programs(t)
	for _, tt := range []struct {
		name    string
		command []string
		want    string
	}{
		{"ends at once", []string{"false", "{port}"}, "echo2x64: ours: the server ended (exit status 1)"},
		{"ends with a reason", []string{"sh", "-c", "echo first; echo port taken >&2; exit 3", "{port}"}, "ours: the server ended (exit status 3): port taken"},
		{"is not installed", []string{"./no-such-server", "{port}"}, "no-such-server"},
		{"never listens", []string{"sleep", "60"}, "does not listen on 127.0.0.1:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := small(Server{Name: "ours", Command: tt.command})
			config.Scenarios = []Scenario{scenario(t, "echo2x64")}
			config.Patience, config.Window = 150*time.Millisecond, 10*time.Millisecond
			_, err := Run(t.Context(), programs, config)
			wantLine(t, err, tt.want)
		})
	}
}

func TestServerThatDiesAtWorkIsNoticed(t *testing.T) {
	s := Server{Name: "ours", Command: []string{"timeout", "0.2", programs(t).Floor, "{port}"}}
	p, err := s.start(t.Context(), "0", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	_, err = testClient(t).measure(t.Context(), scenario(t, "echo2x64"), p, 0, time.Minute)
	wantLine(t, err, "on connection ")
	<-p.exited
	wantLine(t, p.blame("ours", err), "; the server ended (exit status 124)")
}

// during calls a function when the first round is done.
type during func()

func (d during) Write(p []byte) (int, error) { d(); return len(p), nil }

func TestCancelledRunEndsInTheMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	config := small()
	config.Scenarios = []Scenario{scenario(t, "echo2x64")}
	config.Rounds, config.Progress = 1_000_000, during(cancel)
	if _, err := Run(ctx, programs(t), config); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}
}

func TestServerIsGoneAfterStop(t *testing.T) {
	p := startFloor(t)
	if _, err := residentBytes(p.pid); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if _, err := residentBytes(p.pid); err == nil {
		t.Errorf("process %d still runs", p.pid)
	}
}
