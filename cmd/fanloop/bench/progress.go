package bench

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
)

// progressSteps is how many steps the bar of a run has.
const progressSteps = 1000

// progress shows what is under way: a live line in a terminal, else nothing.
type progress struct {
	w   io.Writer
	bar *progressbar.ProgressBar
	on  bool
}

func newProgress(w io.Writer, quiet bool) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, on: ok && !quiet && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) show(s scenario.Progress) {
	if !p.on {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(progressSteps, progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(20),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(true))
	}
	text := fmt.Sprintf("%s %s %d", s.Scenario, s.Server, s.Round)
	if s.Rounds > 0 {
		text += fmt.Sprintf("/%d", s.Rounds)
	}
	switch {
	case s.Done:
		if us, ok := s.Figures[report.CPU]; ok {
			text += fmt.Sprintf(" %.2f µs/msg", us)
		}
	case s.Tick.Rate > 0:
		text += fmt.Sprintf(" %.0f/s p99 %v", s.Tick.Rate, time.Duration(s.Tick.P99).Round(10*time.Microsecond))
	}
	p.bar.Describe(fmt.Sprintf("%-52s", text))
	_ = p.bar.Set(int(s.Part * progressSteps)) // a line that cannot be drawn is no failure
}

// line shows text in place of what was there.
func (p *progress) line(text string) {
	if p.on {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
	}
}

// finish leaves the line empty.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear() // a line that cannot be drawn is no failure
		return
	}
	p.line("")
}
