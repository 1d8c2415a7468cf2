package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is a run with all that is needed to repeat it.
type Report struct {
	Machine Machine   `json:"machine"`
	Time    time.Time `json:"time"`
	Flags   []string  `json:"flags"` // as the command was called
	Results []Result  `json:"results"`
}

// WriteMarkdown writes the header and one table each for CPU time and memory. The columns
// are padded, so it reads well in a terminal too.
func (r Report) WriteMarkdown(w io.Writer) error {
	m := r.Machine
	_, err := fmt.Fprintf(w, "%s, kernel %s, %d CPUs (%s), %s, %s, commit %s\n\nflags: `%s`\n%s%s",
		r.Time.UTC().Format("2006-01-02 15:04 MST"), m.Kernel, m.CPUs, m.CPU, m.Go, m.Compiler, m.Commit,
		strings.Join(r.Flags, " "), r.cpuTable(), r.memoryTable())
	return err
}

// WriteFiles writes base.json, with every round, and base.md.
func (r Report) WriteFiles(base string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".json", append(text, '\n'), 0o644); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		return err
	}
	return os.WriteFile(base+".md", b.Bytes(), 0o644)
}

func (r Report) cpuTable() string {
	rows := [][]string{{"scenario", "server", "to floor", "best µs", "median µs", "server CPU", "client CPU", "per second"}}
	var floor Result
	for _, result := range r.Results {
		if len(result.Windows) == 0 {
			continue
		}
		if result.Server == FloorName {
			floor = result
		}
		s := Summarize(result, floor)
		client := fmt.Sprintf("%.0f %%", 100*s.ClientShare)
		switch {
		case s.ClientBound():
			client += ", client bound"
		case s.NeitherBusy():
			client += ", neither busy"
		}
		rows = append(rows, []string{result.Scenario, result.Server, fmt.Sprintf("%.2fx", s.Ratio),
			fmt.Sprintf("%.2f", s.BestMicros), fmt.Sprintf("%.2f", s.MedianMicros),
			fmt.Sprintf("%.0f %%", 100*s.ServerShare), client, fmt.Sprintf("%.0f", s.Rate)})
	}
	return table(rows)
}

func (r Report) memoryTable() string {
	rows := [][]string{{"scenario", "server", "RSS per connection", "after SIGUSR1", "RSS before"}}
	for _, result := range r.Results {
		if len(result.Memory) == 0 {
			continue
		}
		given := "-"
		if result.Memory[0].GivenBack > 0 {
			given = fmt.Sprintf("%.0f B", median(each(result.Memory, Memory.PerConnGivenBack)))
		}
		before := median(each(result.Memory, func(m Memory) float64 { return float64(m.Before) }))
		rows = append(rows, []string{result.Scenario, result.Server,
			fmt.Sprintf("%.0f B", median(each(result.Memory, Memory.PerConn))), given, fmt.Sprintf("%.1f MiB", before/(1<<20))})
	}
	return table(rows)
}

// table lays rows out as markdown, the first as its head; without a second row it is empty.
func table(rows [][]string) string {
	if len(rows) < 2 {
		return ""
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteByte('\n')
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[j], cell)
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
	return b.String()
}
