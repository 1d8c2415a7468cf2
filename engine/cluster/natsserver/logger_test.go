package natsserver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A server whose neighbour is away says so a few times a minute, not several times a
// second, and other lines come through meanwhile.
func TestLinesOfOneKindAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := &logger{to: slog.New(slog.NewTextHandler(&out, nil)), failed: make(chan struct{}, 1)}
		for attempt := range 4 * 600 {
			l.Errorf("no route (attempt %d)", attempt)
			time.Sleep(250 * time.Millisecond)
		}
		l.Warnf("the disk is slow")
		if n := strings.Count(out.String(), "no route"); n < 10 || n > 20 {
			t.Errorf("%d lines in 10 minutes, want 10 to 20", n)
		}
		if !strings.Contains(out.String(), "left out") || !strings.Contains(out.String(), "the disk is slow") {
			t.Errorf("want how many were left out, and lines of other kinds:\n%s", out.String())
		}
		out.Reset()
		time.Sleep(5 * time.Minute)
		l.Errorf("no route (attempt %d)", 1)
		if !strings.Contains(out.String(), "attempt 1") {
			t.Errorf("after a quiet time, want the next one: %q", out.String())
		}
	})
}

// The secret of Options is no password in a file of configuration, which NATS warns of.
func TestSecretIsNoWarning(t *testing.T) {
	var out bytes.Buffer
	s, err := Start(Options{
		Dir: t.TempDir(), Name: "a", Secret: "a secret of all servers", Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Addr: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if strings.Contains(out.String(), "assword") {
		t.Errorf("%s", out.String())
	}
}
