package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// column is a ratio to another server.
type column struct {
	title string
	ratio func(Summary) float64
}

// Table is one scenario as rows of text, the first being the head.
func (r *Report) Table(scenario string) [][]string {
	results := r.Of(scenario)
	summaries := Summarize(results)
	columns := columnsOf(summaries)
	head := []string{"server"}
	ratios := slices.DeleteFunc([]column{
		{"to floor", func(s Summary) float64 { return s.ToFloor }},
		{"to plain", func(s Summary) float64 { return s.ToPlain }},
		{"to best peer", func(s Summary) float64 { return s.ToPeer }},
	}, func(c column) bool {
		return !slices.ContainsFunc(summaries, func(s Summary) bool { return c.ratio(s) > 0 })
	})
	for _, c := range ratios {
		head = append(head, c.title)
	}
	for _, m := range columns {
		head = append(head, m.Title)
	}
	rows := [][]string{append(head, "note")}
	for _, s := range summaries {
		row := []string{s.Server}
		for _, c := range ratios {
			row = append(row, times(c.ratio(s)))
		}
		for _, m := range columns {
			row = append(row, s.cell(m, Headline(results[0].Kind)))
		}
		note := s.Note
		if s.Failed != "" {
			note = "FAILED: " + s.Failed
		}
		rows = append(rows, append(row, note))
	}
	return dropEmpty(rows)
}

// columnsOf are the metrics that at least one server has.
func columnsOf(summaries []Summary) []Metric {
	var columns []Metric
	for _, m := range Metrics {
		if !m.Quiet && slices.ContainsFunc(summaries, func(s Summary) bool { _, ok := s.Figures[m.Key]; return ok }) {
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

func times(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", ratio)
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

// capacity is what the clients can do, as far as the floor let them show it.
func (r *Report) capacity() string {
	for _, result := range r.Results {
		client, server := result.Figures("client_us"), result.Figures(CPU)
		if result.Server != Floor || result.Kind != "echo" || len(client) == 0 || len(server) == 0 {
			continue
		}
		us := median(client)
		text := fmt.Sprintf(" Against the floor (%s) the clients spend %.2f µs of CPU per message, %.2fx what the floor spends: at most %.0f messages a second per CPU of clients.",
			result.Scenario, us, ratio(client, server), 1e6/us)
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
