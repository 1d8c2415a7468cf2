package report

import (
	"fmt"
	"io"
	"strings"
)

// Compare writes what changed from before to after: the ratios that both have, and
// every figure. A change is the quotient of both medians with its 95 % bootstrap
// interval, and counts as better or worse if the interval leaves 1 out.
func Compare(w io.Writer, before, after *Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "before: %s, commit %s, %s\nafter:  %s, commit %s, %s\n",
		before.Time.UTC().Format("2006-01-02 15:04 MST"), before.Machine.Commit, before.Machine.CPU,
		after.Time.UTC().Format("2006-01-02 15:04 MST"), after.Machine.Commit, after.Machine.CPU)
	b.WriteString("A machine differs between two runs: trust the ratios to a server that both runs have, and figures less.\n")
	if before.Machine.CPU != after.Machine.CPU || before.Machine.Kernel != after.Machine.Kernel || before.Machine.CPUs != after.Machine.CPUs {
		b.WriteString("The machines are not the same: compare ratios only.\n")
	}
	common := 0
	for _, name := range after.Scenarios() {
		rows := compareScenario(before.Of(name), after.Of(name), after.bases())
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

// compareScenario makes one row per ratio and figure of a server.
func compareScenario(before, after []Result, bases []string) [][]string {
	rows := [][]string{{"server", "figure", "before", "after", "change", "verdict", "rounds"}}
	for _, r := range after {
		i := indexOf(before, r.Server)
		if i < 0 || r.Failed != "" {
			continue
		}
		for _, base := range bases {
			if row := compareRatio(before, after, before[i], r, base); row != nil {
				rows = append(rows, row)
			}
		}
		for _, m := range Metrics {
			was, is := before[i].Figures(m.Key), r.Figures(m.Key)
			if len(was) > 0 && len(is) > 0 {
				rows = append(rows, append([]string{r.Server, m.Title}, compareFigure(m, was, is)...))
			}
		}
	}
	return rows
}

// compareRatio compares the ratios of a server to base; nil where a run has none.
func compareRatio(before, after []Result, old, cur Result, base string) []string {
	oldBase, curBase := indexOf(before, base), indexOf(after, base)
	key := Headline(after)
	if oldBase < 0 || curBase < 0 || cur.Server == base || key != Headline(before) {
		return nil
	}
	was := ratios(old.Figures(key), before[oldBase].Figures(key))
	is := ratios(cur.Figures(key), after[curBase].Figures(key))
	if len(was) == 0 || len(is) == 0 {
		return nil
	}
	change := quotientOf(was, is)
	return []string{cur.Server, "to " + base, intervalOf(was).String(), intervalOf(is).String(),
		percent(change), verdict(change, false), counts(was, is)}
}

// compareFigure shows both medians and whether they differ.
func compareFigure(m Metric, was, is []float64) []string {
	change := quotientOf(was, is)
	says := verdict(change, m.More)
	if m.Load && (says == "better" || says == "worse") {
		says = "differs"
	}
	return []string{m.Format(median(was)), m.Format(median(is)), percent(change), says, counts(was, is)}
}

func counts(was, is []float64) string { return fmt.Sprintf("%d+%d", len(was), len(is)) }

// percent is as in +2.1 % [+1.2, +3.0].
func percent(change Interval) string {
	switch {
	case change.Rounds == 0:
		return "-"
	case !change.known():
		return fmt.Sprintf("%+.1f %%", 100*(change.Median-1))
	}
	return fmt.Sprintf("%+.1f %% [%+.1f, %+.1f]", 100*(change.Median-1), 100*(change.Low-1), 100*(change.High-1))
}

// verdict says whether change leaves 1 out.
func verdict(change Interval, more bool) string {
	switch {
	case change.Rounds == 0:
		return "-"
	case change.Rounds == 1:
		return "no interval"
	case !change.known():
		return "too few rounds to tell"
	case change.Low <= 1 && change.High >= 1:
		return "no difference seen"
	case (change.Low > 1) == more:
		return "better"
	}
	return "worse"
}
