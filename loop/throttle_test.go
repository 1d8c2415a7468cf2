package loop

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A line says how many it stands for, if there are others.
func TestLineSaysHowManyWereSuppressed(t *testing.T) {
	var buf bytes.Buffer
	log, th := slog.New(slog.NewTextHandler(&buf, nil)), new(Throttle)
	th.Log(log, slog.LevelWarn, "first")
	if got := buf.String(); !strings.Contains(got, "msg=first\n") {
		t.Errorf("the first line is %q", got)
	}
	th.suppressed, th.last = 2, time.Now().Add(-time.Minute)
	th.Log(log, slog.LevelWarn, "next")
	if got := buf.String(); !strings.Contains(got, "msg=next suppressed=2\n") {
		t.Errorf("the log is %q", got)
	}
}
