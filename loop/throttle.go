package loop

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Throttle lets one line of a kind into a log each second, and counts the others.
// Its zero value is ready to use. Any goroutine.
type Throttle struct {
	mu     sync.Mutex
	last   time.Time
	others int
	count  uint64
}

// Count returns how many lines there were, written or not.
func (t *Throttle) Count() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Pass reports whether a line may be written now, and how many were not since the
// last one.
func (t *Throttle) Pass() (others int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	if !t.last.IsZero() && time.Since(t.last) < time.Second {
		t.others++
		return 0, false
	}
	others, t.last, t.others = t.others, time.Now(), 0
	return others, true
}

// Log writes a line if t lets it pass, with the number of the others. It survives
// a Logger that does not return.
func (t *Throttle) Log(log *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	others, ok := t.Pass()
	if !ok {
		return
	}
	write(log, level, msg, append(attrs, slog.Int("others", others))...)
}

// write writes a line. A Logger that does not return cannot be reported.
func write(log *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	_ = Isolate(func() { log.LogAttrs(context.Background(), level, msg, attrs...) })
}

// log writes a line that comes once.
func (g *Group) log(level slog.Level, msg string, attrs ...slog.Attr) {
	write(g.cfg.Logger, level, msg, attrs...)
}
