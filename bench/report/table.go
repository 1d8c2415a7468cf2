package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Table is one scenario as rows of text, the first being the head.
func (r *Report) Table(scenario string) [][]string {
	summaries, headline := r.Summaries(scenario), Headline(r.Of(scenario))
	columns := columnsOf(summaries, headline)
	head := []string{"server"}
	rivals := rivalNames(summaries)
	for _, name := range rivals {
		head = append(head, "to "+strings.TrimPrefix(name, Ours+" "))
	}
	for _, m := range columns {
		head = append(head, m.Title)
	}
	rows := [][]string{append(head, "note")}
	for _, s := range summaries {
		row := []string{s.Server}
		for _, name := range rivals {
			cell := "-"
			if ratio, ok := s.ratioTo(name); ok {
				cell = ratio.String()
			}
			row = append(row, cell)
		}
		for _, m := range columns {
			row = append(row, s.cell(m, headline))
		}
		note := s.Note
		if s.Failed != "" {
			note = "FAILED: " + s.Failed
		}
		rows = append(rows, append(row, note))
	}
	return dropEmpty(rows)
}

// rivalNames are the servers that at least one is compared with.
func rivalNames(summaries []Summary) (names []string) {
	for _, s := range summaries {
		for _, ratio := range s.Ratios {
			if !slices.Contains(names, ratio.To) {
				names = append(names, ratio.To)
			}
		}
	}
	return names
}

// columnsOf are the metrics that at least one server has.
func columnsOf(summaries []Summary, headline string) []Metric {
	var columns []Metric
	for _, m := range Metrics {
		if (!m.Quiet || m.Key == headline) && slices.ContainsFunc(summaries, func(s Summary) bool { _, ok := s.Figures[m.Key]; return ok }) {
			columns = append(columns, m)
		}
	}
	return columns
}

// cell shows the median, of the headline with min and max.
func (s Summary) cell(m Metric, headline string) string {
	f, ok := s.Figures[m.Key]
	switch {
	case !ok:
		return "-"
	case m.Key == headline && f.Min != f.Max:
		return fmt.Sprintf("%s (%s-%s)", m.Format(f.Median), m.Format(f.Min), m.Format(f.Max))
	}
	return m.Format(f.Median)
}

// String is as in 1.043x [1.035-1.052]; without the interval if it is not known, or
// the same all along.
func (v Interval) String() string {
	switch {
	case !v.known() || v.Low == v.High:
		return fmt.Sprintf("%.2fx", v.Median)
	case v.High < 10:
		return fmt.Sprintf("%.3fx [%.3f-%.3f]", v.Median, v.Low, v.High)
	}
	return fmt.Sprintf("%.3gx [%.3g-%.3g]", v.Median, v.Low, v.High)
}

// dropEmpty leaves out a last column without text.
func dropEmpty(rows [][]string) [][]string {
	last := len(rows[0]) - 1
	for _, row := range rows[1:] {
		if row[last] != "" {
			return rows
		}
	}
	for i := range rows {
		rows[i] = rows[i][:last]
	}
	return rows
}

// WriteMarkdown writes what was measured and how, and one table per scenario.
// The columns are padded, so it reads well in a terminal too.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "fanloop bench, %s, commit %s. %s, %d CPUs, kernel %s, %s, %s. Servers on CPU %s, clients on CPU %s.\n\n",
		r.Time.UTC().Format("2006-01-02 15:04 MST"), m.Commit, m.CPU, m.CPUs, m.Kernel, m.Go, m.Compiler, r.Servers, r.Clients)
	fmt.Fprintf(&b, "Command: `%s`\n\nThe harness itself: a clock reading takes %.0f ns and is %d ns fine; latencies are kept to three digits; an open-loop message leaves %.1f µs after its time (median), which counts as latency.%s\n",
		strings.Join(r.Command, " "), r.Harness.ClockNanos, r.Harness.StepNanos, r.Harness.LateMicros, r.capacity())
	for _, name := range r.Scenarios() {
		fmt.Fprintf(&b, "\n### %s\n\n", name)
		if Headline(r.Of(name)) == Wall {
			b.WriteString(noCPU + "\n\n")
		}
		writeRows(&b, r.Table(name))
	}
	if len(r.Versions) > 0 {
		b.WriteString("\nVersions:\n")
		for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
			fmt.Fprintf(&b, "- %s %s\n", name, r.Versions[name])
		}
	}
	if len(r.Missing) > 0 {
		b.WriteString("\nNot available here:\n")
		for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
			fmt.Fprintf(&b, "- %s: %s\n", name, r.Missing[name])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// noCPU says what ratios are of where servers are not known well enough.
const noCPU = "The CPU time of a server is not known here (see --pid; it can be read on Linux only): ratios are of wall-clock time per message."

// capacity is what the clients can do, as far as the floor let them show it.
func (r *Report) capacity() string {
	for _, result := range r.Results {
		client := result.Figures("client_us")
		spent := ratios(client, result.Figures(CPU))
		if result.Server != Floor || result.Kind != "echo" || len(spent) == 0 {
			continue
		}
		us := median(client)
		text := fmt.Sprintf(" Against the floor (%s) the clients spend %.2f µs of CPU per message, %.2fx what the floor spends: at most %.0f messages a second per CPU of clients.",
			result.Scenario, us, median(spent), 1e6/us)
		if allocs := result.Figures("allocs"); len(allocs) > 0 {
			text += fmt.Sprintf(" They make %s heap objects per message, reports included.", number(median(allocs)))
		}
		return text
	}
	return ""
}

// writeRows lays rows out as markdown.
func writeRows(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(b, "| %-*s ", widths[j], cell)
		}
		b.WriteString("|\n")
		if i > 0 {
			continue
		}
		for _, n := range widths {
			b.WriteString("|" + strings.Repeat("-", n+2))
		}
		b.WriteString("|\n")
	}
}
