package engine_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// logBook keeps what was logged.
type logBook struct {
	mu      sync.Mutex
	records []slog.Record
}

// newLog returns a logger that writes into the book.
func newLog() (*slog.Logger, *logBook) {
	b := new(logBook)
	return slog.New(b), b
}

// Enabled implements slog.Handler.
func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	resolved := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		resolved.AddAttrs(slog.Attr{Key: a.Key, Value: a.Value.Resolve()})
		return true
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, resolved)
	return nil
}

// WithAttrs implements slog.Handler.
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup implements slog.Handler.
func (b *logBook) WithGroup(string) slog.Handler { return b }

// loopIsHeldUp is what is logged when a loop gives no sign of life for a second,
// which on a busy machine says nothing about the code.
const loopIsHeldUp = "a callback blocks its loop"

// count is how many records have this text in their message.
func (b *logBook) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.records {
		if strings.Contains(r.Message, text) {
			n++
		}
	}
	return n
}

// level is that of the last record with this text.
func (b *logBook) level(text string) slog.Level { return b.last(text).Level }

// attr is an attribute of the last record with this text, as text; "" if there is
// none.
func (b *logBook) attr(text, key string) (value string) {
	b.last(text).Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			value = a.Value.String()
		}
		return true
	})
	return value
}

func (b *logBook) last(text string) (last slog.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		if strings.Contains(r.Message, text) {
			last = r
		}
	}
	return last
}
