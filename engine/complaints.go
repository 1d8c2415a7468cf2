package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// complaints log what peers do wrong before they are anybody: a line a second
// at most, since whoever can connect can cause them.
type complaints struct {
	mu     sync.Mutex
	next   time.Duration // when a line may be written again
	silent int           // not written since
}

// add complains at the time now of the loops.
func (c *complaints) add(log *slog.Logger, now time.Duration, msg string, attrs ...slog.Attr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now < c.next {
		c.silent++
		return
	}
	attrs = append(attrs, slog.Int("others", c.silent))
	c.next, c.silent = now+time.Second, 0
	log.LogAttrs(context.Background(), slog.LevelWarn, msg, attrs...)
}
