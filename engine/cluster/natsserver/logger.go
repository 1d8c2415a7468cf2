package natsserver

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logger logs the warnings and errors of a NATS server, and keeps the first reason for
// which the server gave up.
type logger struct {
	to     *slog.Logger // nil: nothing is logged
	fatal  chan string
	failed chan struct{} // one element: there was an error

	mu    sync.Mutex
	kinds map[string]*kind // by format; guarded by mu
}

// kind is the lines of one format. A server without a route says so several times a
// second for as long as the other one is away.
type kind struct {
	last       time.Time     // when one was logged
	pause      time.Duration // until the next one may be
	suppressed int           // since last
}

// The pause after a line is doubled from firstPause to longestPause as long as lines of
// its kind keep coming, and begins anew when there was none for twice as long.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

func (l *logger) Noticef(string, ...any) {}
func (l *logger) Debugf(string, ...any)  {}
func (l *logger) Tracef(string, ...any)  {}

func (l *logger) Warnf(format string, args ...any) {
	if strings.HasPrefix(format, "Plaintext passwords detected") {
		return // Options.Secret, which is in no file of the server's configuration
	}
	if l.to != nil && l.pass(format, time.Now()) {
		l.to.Warn(l.line(format, args))
	}
}

func (l *logger) Errorf(format string, args ...any) {
	if strings.HasPrefix(format, "Error trying to connect to route") {
		l.Warnf(format, args...) // another server is away, or not there yet; it is tried again
		return
	}
	if l.to != nil && l.pass(format, time.Now()) {
		l.to.Error(l.line(format, args))
	}
	select {
	case l.failed <- struct{}{}:
	default:
	}
}

func (l *logger) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	select {
	case l.fatal <- fmt.Sprintf(format, args...):
	default:
	}
}

// pass reports whether a line of this format may be logged now.
func (l *logger) pass(format string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = make(map[string]*kind)
	}
	k := l.kinds[format]
	switch {
	case k == nil || now.Sub(k.last) > 2*k.pause:
		k = &kind{pause: firstPause}
		l.kinds[format] = k
	case now.Sub(k.last) < k.pause:
		k.suppressed++
		return false
	default:
		k.pause = min(2*k.pause, longestPause)
	}
	k.last = now
	return true
}

// line makes the text of a line that passed.
func (l *logger) line(format string, args []any) string {
	l.mu.Lock()
	k := l.kinds[format]
	suppressed := k.suppressed
	k.suppressed = 0
	l.mu.Unlock()
	text := "natsserver: " + fmt.Sprintf(format, args...)
	if suppressed > 0 {
		text += fmt.Sprintf(" (%d more lines like this were left out)", suppressed)
	}
	return text
}
