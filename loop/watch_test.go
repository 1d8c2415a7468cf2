package loop

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// deafPoller is that of a loop whose mail the test reads.
type deafPoller struct{ poller }

func (deafPoller) wake() {}

// slowLog takes a while for each line, and counts them.
type slowLog struct {
	slog.Handler
	takes time.Duration
	lines *int
}

func (s slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (s slowLog) Handle(context.Context, slog.Record) error {
	*s.lines++
	time.Sleep(s.takes)
	return nil
}

// A watch that comes late gives each loop the whole time all the same.
func TestLateWatchReportsNoLoopTooSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := 0
		log := slog.New(slowLog{slog.DiscardHandler, 1500 * time.Millisecond, &lines})
		g := &Group{cfg: Config{BlockedAfter: time.Second, Logger: log}, quit: make(chan struct{})}
		l := &Loop{group: g, poller: deafPoller{}}
		g.loops = []*Loop{l}
		go g.watch()
		time.Sleep(2500 * time.Millisecond) // reported after 2 s, which takes until 3.5 s
		l.readMail()
		time.Sleep(1700 * time.Millisecond) // held up since then at most 0.7 s
		l.readMail()
		time.Sleep(700 * time.Millisecond)
		l.readMail()
		close(g.quit)
		time.Sleep(2 * time.Second) // a report may be under way
		if lines != 1 {
			t.Errorf("%d reports, want 1", lines)
		}
	})
}
