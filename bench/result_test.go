package bench

import (
	"bytes"
	"strings"
	"testing"
)

func rounds(server string, micros ...float64) Result {
	r := Result{Scenario: "echo200x64", Server: server}
	for _, m := range micros {
		r.Windows = append(r.Windows, Window{Messages: 1000, Seconds: 0.01, ClientMicros: 9000, ServerMicros: m * 1000})
	}
	return r
}

func TestRatioIsTheMedianOfRoundsNotTheRatioOfMedians(t *testing.T) {
	// The machine is twice as slow in rounds 2 and 3; every round but the last has 1.5x.
	floor := rounds("floor", 4, 8, 8, 4, 4)
	peer := rounds("peer", 6, 12, 12, 6, 40)
	s := Summarize(peer, floor)
	if s.Ratio != 1.5 {
		t.Errorf("ratio %v, want 1.5 (medians alone would say 3)", s.Ratio)
	}
	if s.BestMicros != 6 || s.MedianMicros != 12 {
		t.Errorf("best %v and median %v, want 6 and 12", s.BestMicros, s.MedianMicros)
	}
	if own := Summarize(floor, floor).Ratio; own != 1 {
		t.Errorf("floor to itself %v, want 1", own)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{
		7:   {7},
		1.5: {1, 2},
		3:   {9, 1, 3},
		2.5: {4, 1, 3, 2},
	} {
		if got := median(values); got != want {
			t.Errorf("median(%v) = %v, want %v", values, got, want)
		}
	}
	values := []float64{3, 1, 2}
	if median(values); values[0] != 3 {
		t.Error("median sorted the caller's values")
	}
}

func TestReportSaysWhoWasBusy(t *testing.T) {
	for _, tt := range []struct {
		client, server float64
		want           string
	}{
		{0.96, 0.5, "| 96 %, client bound |"},
		{0.95, 0.5, "| 95 % |"},
		{0.5, 0.9, "| 50 % |"},
		{0.5, 0.4, "| 50 %, neither busy |"},
	} {
		r := Result{Scenario: "echo200x64", Server: FloorName, Windows: []Window{{Messages: 10, Seconds: 1, ClientMicros: tt.client * 1e6, ServerMicros: tt.server * 1e6}}}
		var b bytes.Buffer
		if err := (Report{Results: []Result{r}}).WriteMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), tt.want) {
			t.Errorf("client %v, server %v: no %q in\n%s", tt.client, tt.server, tt.want, b.String())
		}
	}
}

func TestEachScenarioIsDividedByItsOwnFloor(t *testing.T) {
	other := func(r Result) Result { r.Scenario = "handshake"; return r }
	report := Report{Results: []Result{rounds("floor", 4), rounds("ours", 6), other(rounds("floor", 30)), other(rounds("ours", 60))}}
	var b bytes.Buffer
	if err := report.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{"| echo200x64 | ours | 1.50x | 6.00 | 6.00 |", "| handshake | ours | 2.00x | 60.00 | 60.00 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestMemoryPerConnectionIsTheGrowth(t *testing.T) {
	m := Memory{Conns: 100, Before: 5000, Settled: 25000, GivenBack: 4000}
	if m.PerConn() != 200 || m.PerConnGivenBack() != -10 {
		t.Errorf("%v and %v bytes, want 200 and -10", m.PerConn(), m.PerConnGivenBack())
	}
	var b bytes.Buffer
	r := Result{Scenario: "idle100", Server: FloorName, Memory: []Memory{{Conns: 100, Before: 1 << 20, Settled: 1<<20 + 1600}}}
	if err := (Report{Results: []Result{r}}).WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	if want := "| idle100 | floor | 16 B | - | 1.0 MiB |"; !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}
