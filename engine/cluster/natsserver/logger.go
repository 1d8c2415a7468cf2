package natsserver

import (
	"fmt"
	"log/slog"
)

// logger hands on what is worth it, and keeps the first reason for which the
// server gave up.
type logger struct {
	to     *slog.Logger // nil: nobody
	fatal  chan string
	failed chan struct{} // one element: there was an error
}

func (l *logger) Noticef(string, ...any) {}
func (l *logger) Debugf(string, ...any)  {}
func (l *logger) Tracef(string, ...any)  {}

func (l *logger) Warnf(format string, args ...any) {
	if l.to != nil {
		l.to.Warn("natsserver: " + fmt.Sprintf(format, args...))
	}
}

func (l *logger) Errorf(format string, args ...any) {
	if l.to != nil {
		l.to.Error("natsserver: " + fmt.Sprintf(format, args...))
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
