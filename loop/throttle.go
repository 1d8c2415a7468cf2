package loop

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Throttle lets one line of a kind into a log each second, and counts those
// that it suppresses.
// Its zero value is ready to use. Any goroutine.
type Throttle struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int // since last
	count      uint64
}

// Count returns how many lines there were, written or not.
func (t *Throttle) Count() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Pass reports whether a line may be written now, and how many were not since the
// last one.
func (t *Throttle) Pass() (suppressed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	if !t.last.IsZero() && time.Since(t.last) < time.Second {
		t.suppressed++
		return 0, false
	}
	suppressed, t.last, t.suppressed = t.suppressed, time.Now(), 0
	return suppressed, true
}

// Log writes a line if t lets it pass, with the number of those suppressed. It survives
// a Logger that does not return.
func (t *Throttle) Log(log *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	suppressed, ok := t.Pass()
	if !ok {
		return
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	write(log, level, msg, attrs...)
}

// write writes a line. A Logger that does not return cannot be reported.
func write(log *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	_ = Isolate(func() { log.LogAttrs(context.Background(), level, msg, attrs...) })
}

// log writes a line that comes once.
func (g *Group) log(level slog.Level, msg string, attrs ...slog.Attr) {
	write(g.cfg.Logger, level, msg, attrs...)
}
