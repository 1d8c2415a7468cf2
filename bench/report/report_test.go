package report

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func rounds(key string, values ...float64) (all []Round) {
	for _, v := range values {
		all = append(all, Round{key: v})
	}
	return all
}

func result(server string, values ...float64) Result {
	return Result{Scenario: "echo200x64", Kind: "echo", Server: server, Rounds: rounds(CPU, values...)}
}

// metric finds a kind of figure.
func metric(key string) (Metric, bool) {
	for _, m := range Metrics {
		if m.Key == key {
			return m, true
		}
	}
	return Metric{}, false
}

func sampleReport(ours ...float64) *Report {
	return &Report{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: Machine{CPU: "a CPU", CPUs: 2, Commit: "abc"},
		Versions: map[string]string{"gorilla": "v1.2.3", "nbio": "v4.5.6"},
		Missing:  map[string]string{"bun": "not available here: npm is not in PATH"},
		Results:  []Result{result(Floor, 2, 4, 2, 4, 2), result(Ours, ours...), result("gorilla", 4, 8, 4, 8, 4), result("nbio", 6, 12, 6, 12, 6)},
	}
}

// A slow phase of the machine hits one round of all servers: ratios are taken
// inside rounds, not between medians.
func TestRatiosAreTakenInsideRounds(t *testing.T) {
	r := sampleReport(3, 6, 3, 6, 3)
	for _, s := range Summarize(r.Results, []string{Floor}) {
		want := map[string][2]float64{Floor: {1, 0.5}, Ours: {1.5, 0.75}, "gorilla": {2, 1}, "nbio": {3, 1.5}}[s.Server]
		floor, _ := s.ratioTo(Floor)
		peer, _ := s.ratioTo(Best)
		if floor.Median != want[0] || peer.Median != want[1] || floor.Rounds != 5 {
			t.Errorf("%s: %v to floor, %v to the best peer, want %v", s.Server, floor, peer, want)
		}
	}
}

// Any servers may be those that all are compared with; then they are no peers.
func TestRatiosAreToTheBases(t *testing.T) {
	r := sampleReport(3, 6, 3, 6, 3)
	r.Bases = []string{"gorilla", Floor, "nosuch"}
	head := r.Table("echo200x64")[0]
	if want := []string{"server", "to gorilla", "to floor", "to best peer"}; !slices.Equal(head[:4], want) {
		t.Errorf("columns %v, want %v", head, want)
	}
	if row := r.Table("echo200x64")[2]; !slices.Equal(row[:4], []string{Ours, "0.75x", "1.50x", "0.50x"}) {
		t.Errorf("row %v", row)
	}
}

// The interval stands beside each ratio, in every form.
func TestIntervalsAreShown(t *testing.T) {
	r := sampleReport(3.1, 6, 3, 6.2, 2.9)
	const want = "1.500x [1.450-1.550]"
	var markdown, page, text bytes.Buffer
	if err := errors.Join(r.WriteMarkdown(&markdown), r.WriteHTML(&page), r.WriteJSON(&text)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(markdown.String(), "| "+want+" |") {
		t.Errorf("markdown: %s", &markdown)
	}
	if !strings.Contains(page.String(), "<td>"+want+"</td>") || !strings.Contains(page.String(), `1.500x\n[1.450-1.550]`) {
		t.Error("it is not in the table of the page, or not above a bar")
	}
	back, err := Read(&text)
	if err != nil {
		t.Fatal(err)
	}
	ours := back.Of("echo200x64")[1].Ratios
	if len(ours) != 2 || ours[0] != (Ratio{Floor, Interval{1.5, 1.45, 1.55, 5}}) {
		t.Errorf("JSON: %+v", ours)
	}
	for v, want := range map[Interval]string{
		{Median: 1.05, Rounds: 3}:                       "1.05x",
		{Median: 1.05, Low: 1.05, High: 1.05}:           "1.05x",
		{Median: 435.2, Low: 431, High: 440.1}:          "435x [431-440]",
		{Median: 1.0432, Low: 1.0351, High: 1.0519}:     "1.043x [1.035-1.052]",
		{Median: 25.91, Low: 24.5, High: 27, Rounds: 9}: "25.9x [24.5-27]",
	} {
		if got := v.String(); got != want {
			t.Errorf("%+v is %q, want %q", v, got, want)
		}
	}
}

// Where the CPU time of a server is not known, servers are compared by wall-clock
// time, which is said.
func TestWallClockTimeIsWhatRatiosAreOfWithoutCPUTime(t *testing.T) {
	wall := func(server string, values ...float64) Result {
		return Result{Scenario: "echo10x64", Kind: "echo", Server: server, Rounds: rounds(Wall, values...)}
	}
	r := sampleReport(3, 6, 3, 6, 3)
	r.Results = append(r.Results, wall(Floor, 2, 2, 2), wall(Ours, 3, 3, 3))
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	known, unknown, _ := strings.Cut(b.String(), "### echo10x64")
	if strings.Contains(known, noCPU) || strings.Contains(known, "wall µs/msg") {
		t.Errorf("where it is known:\n%s", known)
	}
	for _, want := range []string{noCPU, "wall µs/msg", "1.50x"} {
		if !strings.Contains(unknown, want) {
			t.Errorf("%q is missing in\n%s", want, unknown)
		}
	}
}

// A median leaves out slices that cost much more than the others, as those in which a
// server collects garbage: what all slices come to is said where it differs.
func TestSlicesThatCostMuchMoreAreSaidSo(t *testing.T) {
	r := sampleReport(3.1, 6, 3, 6.2, 2.9)
	r.Results[0].Whole, r.Results[1].Whole = Round{TotalCPU: 2}, Round{TotalCPU: 3}
	if note := r.Summaries("echo200x64")[1].Note; note != "" {
		t.Errorf("1.5 is what it is in the middle, too: note %q", note)
	}
	r.Results[1].Whole = Round{TotalCPU: 4}
	if note := r.Summaries("echo200x64")[1].Note; note != "2.000x to floor in all slices together" {
		t.Errorf("note %q", note)
	}
}

func TestSpreadIsMedianMinAndMax(t *testing.T) {
	if got := spread([]float64{5, 1, 3}); got != (Spread{3, 1, 5}) {
		t.Errorf("got %+v", got)
	}
	if got := median([]float64{1, 2, 3, 10}); got != 2.5 {
		t.Errorf("the median of an even number is %g", got)
	}
}

func TestBusyClientsAreSaidSo(t *testing.T) {
	for _, c := range []struct {
		client, server float64
		closed         bool
		want           string
	}{
		{0.99, 0.7, true, "client bound"},
		{0.97, 0.99, true, ""},
		{0.5, 0.3, true, "neither side busy"},
		{0.5, 0.3, false, ""},
		{0.5, 0.99, true, ""},
	} {
		round := Round{"client_cpu": c.client, "server_cpu": c.server}
		if c.closed {
			round[Closed] = 1
		}
		got := Summarize([]Result{{Server: Ours, Rounds: []Round{round}}}, nil)[0].Note
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("client %g server %g: note %q, want %q", c.client, c.server, got, c.want)
		}
	}
}

func TestMarkdownShowsEveryServer(t *testing.T) {
	r := sampleReport(3, 6, 3, 6, 3)
	r.Results = append(r.Results, Result{Scenario: "echo200x64", Kind: "echo", Server: "ws", Failed: "it fell over"})
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### echo200x64", "| fanloop", "1.50x", "0.75x", "3 (3-6)", "FAILED: it fell over", "- gorilla v1.2.3", "- bun: not available here"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if err := r.Failure(); err == nil || !strings.Contains(err.Error(), "ws: it fell over") {
		t.Errorf("failure %v", err)
	}
}

// What compression costs is the ratio to the same messages without it, which is no
// peer.
func TestCostOfWhatAScenarioNeedsIsShown(t *testing.T) {
	r := sampleReport(6, 12, 6, 12, 6)
	without := result(Plain, 3, 6, 3, 6, 3)
	without.Without = []string{"tls", "deflate"}
	r.Results = append(r.Results, without, Result{Scenario: "echo200x64", Kind: "echo", Server: "gnet", Missing: "it has no tls"})
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"to plain", "| 3.00x    | 2.00x    | 1.50x", "without tls and deflate", "not available: it has no tls"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if err := r.Failure(); err != nil {
		t.Errorf("what is not available is a failure: %v", err)
	}
}

func TestJSONKeepsEveryRound(t *testing.T) {
	r := sampleReport(3, 6, 3, 6, 3)
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Of("echo200x64")[1].Figures(CPU); len(got) != 5 || got[1] != 6 {
		t.Errorf("read %v", got)
	}
	if _, err := Read(strings.NewReader("<html>")); err == nil {
		t.Error("a page was read as a report")
	}
}

func TestComparisonTellsChangeFromNoise(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []float64
		want          string
	}{
		{"worse", []float64{3, 3.1, 3.2, 3.3, 3.4}, []float64{4, 4.1, 4.2, 4.3, 4.4}, `\+31\.2 % \[\+\d+\.\d, \+\d+\.\d\] +\| worse`},
		{"better", []float64{4, 4.1, 4.2, 4.3, 4.4}, []float64{3, 3.1, 3.2, 3.3, 3.4}, `-23\.8 % \[-\d+\.\d, -\d+\.\d\] +\| better`},
		{"noise", []float64{3, 3.5, 3.2, 3.6, 3.4}, []float64{3.1, 3.4, 3.3, 3.7, 3.2}, `-2\.9 % \[-\d+\.\d, \+\d+\.\d\] +\| no difference seen`},
		{"few", []float64{3, 3.1}, []float64{4, 4.1}, `[^|]+\| too few rounds`},
	} {
		var b bytes.Buffer
		if err := Compare(&b, sampleReport(c.before...), sampleReport(c.after...)); err != nil {
			t.Fatal(err)
		}
		if ok, _ := regexp.MatchString(`\| fanloop +\| server µs/msg +\|[^|]+\|[^|]+\| `+c.want, b.String()); !ok {
			t.Errorf("%s: want %q in\n%s", c.name, c.want, b.String())
		}
	}
}

func TestComparisonKnowsThatMoreMayBeBetter(t *testing.T) {
	m, _ := metric("rate")
	row := compareFigure(m, []float64{100, 101, 102, 103, 104}, []float64{200, 201, 202, 203, 204})
	if row[3] != "better" {
		t.Errorf("twice the rate is %q", row)
	}
	m, _ = metric("server_cpu")
	if row := compareFigure(m, []float64{0.5, 0.5, 0.5, 0.5, 0.5}, []float64{0.9, 0.9, 0.9, 0.9, 0.9}); row[3] != "differs" {
		t.Errorf("a server that is busier is %q", row)
	}
}

// The machine was twice as fast in the second run: figures differ, ratios do not.
func TestComparisonOfRatiosIsThatOfServers(t *testing.T) {
	before, after := sampleReport(3, 6, 3.1, 6.2, 3), sampleReport(1.5, 3, 1.55, 3.1, 1.5)
	after.Results[0] = result(Floor, 1, 2, 1, 2, 1)
	var b bytes.Buffer
	if err := Compare(&b, before, after); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`\| fanloop +\| to floor +\| 1\.500x \[.+\] +\| 1\.500x \[.+\] +\| \+0\.0 % .+\| no difference seen +\| 5\+5`,
		`\| fanloop +\| server µs/msg .+\| -50\.0 % .+`,
	} {
		if ok, _ := regexp.MatchString(want, b.String()); !ok {
			t.Errorf("%s is missing in\n%s", want, &b)
		}
	}
}

func TestComparisonNeedsSomethingInCommon(t *testing.T) {
	other := sampleReport(1)
	other.Results[0].Scenario = "idle10"
	other.Results = other.Results[:1]
	if err := Compare(&bytes.Buffer{}, sampleReport(1), other); err == nil {
		t.Error("two runs with nothing in common were compared")
	}
}

func TestPageNeedsNoNetwork(t *testing.T) {
	r := sampleReport(3, 6, 3, 6, 3)
	r.Results[1].Server = `<img src=x onerror="alert(1)">`
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	head, text, ok := strings.Cut(b.String(), "</script>")
	if !ok || !strings.Contains(head, script[1000:1200]) {
		t.Fatal("the page does not begin with its script")
	}
	head, _, _ = strings.Cut(head, "<script>")
	text = head + text
	if regexp.MustCompile(`(?i)<(script|link|img|iframe)[^>]+(src|href)=`).MatchString(text) {
		t.Error("the page loads something")
	}
	for _, want := range []string{"1.50x", "echarts.init", "bun"} {
		if !strings.Contains(text, want) {
			t.Errorf("%.40q is missing", want)
		}
	}
	if strings.Contains(text, "<img") {
		t.Error("the name of a server became markup")
	}
}

// A note stands below its row, in sight however wide the table is.
func TestPageShowsNotesBelowTheirRows(t *testing.T) {
	r := sampleReport(3, 6, 3, 6, 3)
	r.Results[1].Failed = "it fell <b>over"
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(page.String(), "<body>")
	if !regexp.MustCompile(`<td class="note" colspan="\d+"><div>FAILED: it fell &lt;b&gt;over</div></td></tr>`).MatchString(body) || strings.Contains(body, "<th>note</th>") {
		t.Errorf("the note is not in a row of its own: %s", body)
	}
	r.Results[1].Failed = ""
	page.Reset()
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if _, body, _ = strings.Cut(page.String(), "<body>"); strings.Contains(body, `class="note"`) {
		t.Error("there is a row for no note")
	}
}

// The floor and fanloop have one color everywhere, and no two lines have the same.
func TestLinesHaveColorsOfTheirOwn(t *testing.T) {
	var summaries []Summary
	for _, server := range []string{Floor, Ours, Plain, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		figures := make(map[string]Spread)
		for _, key := range []string{"p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"} {
			figures[key] = Spread{Median: 1e6}
		}
		summaries = append(summaries, Summary{Server: server, Figures: figures})
	}
	seen := make(map[string]string)
	for _, series := range percentiles("id", summaries).MultiSeries {
		if series.LineStyle == nil || series.ItemStyle == nil || series.LineStyle.Color != series.ItemStyle.Color {
			t.Fatalf("%s: line %+v, points %+v", series.Name, series.LineStyle, series.ItemStyle)
		}
		c := series.LineStyle.Color
		if other, taken := seen[c]; taken {
			t.Errorf("%s and %s are both %s", other, series.Name, c)
		}
		if own := color(series.Name); own != peerColor && own != c {
			t.Errorf("%s is %s, and %s as a bar", series.Name, c, own)
		}
		seen[c] = series.Name
	}
	if len(seen) != len(summaries) {
		t.Errorf("%d lines", len(seen))
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		key  string
		v    float64
		want string
	}{
		{CPU, 4.714, "4.71"}, {"p99_ns", 950, "950 ns"}, {"p99_ns", 1.5e6, "1.5 ms"}, {"back_s", 2, "2 s"},
		{"rate", 123456.7, "123457"}, {"rate", 999.7, "1000"}, {"client_cpu", 0.954, "95 %"}, {"rss_conn", 577, "577 B"},
		{"rss", 22.6 * (1 << 20), "22.6 MiB"}, {"slope", -20480, "-20.0 KiB"}, {"allocs", 0.00004, "4e-05"},
	} {
		m, ok := metric(c.key)
		if got := m.Format(c.v); !ok || got != c.want {
			t.Errorf("%s of %g is %q, want %q", c.key, c.v, got, c.want)
		}
	}
}
