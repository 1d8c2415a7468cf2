package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"golang.org/x/perf/benchmath"
)

// Compare writes what changed from before to after: every figure that both
// have, with the test of benchstat (Mann-Whitney U test, 5 %). A difference
// that does not exceed the noise is shown as "~".
func Compare(w io.Writer, before, after *Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "before: %s, commit %s, %s\nafter:  %s, commit %s, %s\n",
		before.Time.UTC().Format("2006-01-02 15:04 MST"), before.Machine.Commit, before.Machine.CPU,
		after.Time.UTC().Format("2006-01-02 15:04 MST"), after.Machine.Commit, after.Machine.CPU)
	if before.Machine.CPU != after.Machine.CPU || before.Machine.Kernel != after.Machine.Kernel || before.Machine.CPUs != after.Machine.CPUs {
		b.WriteString("The machines differ: compare ratios to the floor, not figures.\n")
	}
	common := 0
	for _, name := range after.Scenarios() {
		rows := compareScenario(before.Of(name), after.Of(name))
		if len(rows) < 2 {
			continue
		}
		common++
		fmt.Fprintf(&b, "\n### %s\n\n", name)
		writeRows(&b, rows)
	}
	if common == 0 {
		return fmt.Errorf("the two runs have no scenario with the same server in common; run both with the same --servers and --scenarios")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// compareScenario makes one row per figure of a server.
func compareScenario(before, after []Result) [][]string {
	rows := [][]string{{"server", "figure", "before", "after", "change", "p", "n"}}
	olds := make(map[string]Result)
	for _, r := range before {
		olds[r.Server] = r
	}
	for _, r := range after {
		old, ok := olds[r.Server]
		if !ok {
			continue
		}
		for _, m := range Metrics {
			was, is := old.Figures(m.Key), r.Figures(m.Key)
			if len(was) == 0 || len(is) == 0 {
				continue
			}
			rows = append(rows, append([]string{r.Server, m.Title}, compareFigure(m, was, is)...))
		}
	}
	return rows
}

// compareFigure shows both medians and whether they differ.
func compareFigure(m Metric, was, is []float64) []string {
	t := benchmath.DefaultThresholds
	old, cur := benchmath.NewSample(was, &t), benchmath.NewSample(is, &t)
	c := benchmath.AssumeNothing.Compare(old, cur)
	center := func(s *benchmath.Sample) float64 { return benchmath.AssumeNothing.Summary(s, 0.95).Center }
	change := c.FormatDelta(center(old), center(cur))
	p := "-"
	if !math.IsNaN(c.P) && c.P >= 0 {
		p = fmt.Sprintf("%.3f", c.P)
	}
	switch {
	case len(was) < 4 || len(is) < 4:
		change = "too few rounds to tell"
	case change == "~" || change == "?" || change == "":
		change = "~"
	case (center(cur) > center(old)) == m.More:
		change += " better"
	default:
		change += " worse"
	}
	return []string{m.Format(center(old)), m.Format(center(cur)), change, p, fmt.Sprintf("%d+%d", len(was), len(is))}
}
