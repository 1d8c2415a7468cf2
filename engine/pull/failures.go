package pull

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// failures logs the errors of handlers, one line a second, and counts the others. Any
// goroutine.
type failures struct {
	mu         sync.Mutex
	last       time.Time // of a line
	suppressed int       // since then
}

// log writes that the handler of ws returned err, if a line may be written now.
func (f *failures) log(ws *engine.WebSocket, err error) {
	suppressed, ok := f.pass(time.Now())
	if !ok {
		return
	}
	attrs := []any{slog.Any("err", err), slog.Any("peer", ws.RemoteAddr())}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	cmp.Or(ws.Server().Logger, slog.Default()).Error("pull: a handler returned an error; its connection is closed with 1011", attrs...)
}

// pass reports whether a line may be written now, and how many were not since the last
// one.
func (f *failures) pass(now time.Time) (suppressed int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.last.IsZero() && now.Sub(f.last) < time.Second {
		f.suppressed++
		return 0, false
	}
	suppressed, f.last, f.suppressed = f.suppressed, now, 0
	return suppressed, true
}

// over reports whether the connection has ended, or reads return why it will.
func (c *Conn) over() bool {
	c.mu.Lock()
	end := c.end
	c.mu.Unlock()
	return end != nil || c.ws.Context().Err() != nil
}
