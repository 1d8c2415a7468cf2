package engine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// wait is the deadline of one direction of a webConn: the one that net/http and
// handlers set, and the one of the webConn itself. The earlier one counts. Guarded by
// the mutex of the webConn.
type wait struct {
	asked, own time.Time
	apply      func(time.Time) error // immutable
}

func (w *wait) set() error {
	if w.asked.IsZero() || !w.own.IsZero() && w.own.Before(w.asked) {
		return w.apply(w.own)
	}
	return w.apply(w.asked)
}

// SetDeadline implements net.Conn, for net/http and handlers.
func (c *webConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is SetDeadline for reads.
func (c *webConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads.asked = t
	return c.reads.set()
}

// SetWriteDeadline is SetDeadline for writes.
func (c *webConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.asked = t
	return c.writes.set()
}

// limit sets the deadline of the webConn itself in one direction; the zero time
// takes it back. A handler that has hijacked the connection gets none.
func (c *webConn) limit(w *wait, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != webHijacked || until.IsZero() {
		w.own = until
		_ = w.set() // closed: what waits says so
	}
}

// patience is how long something was waited for since it last made progress.
type patience struct {
	waited time.Duration
	n      int // bytes since then
}

// came notes that n bytes came in a wait of d.
func (p *patience) came(n int, d time.Duration) {
	p.waited += d
	if p.n += n; p.n >= loop.MinProgress {
		*p = patience{}
	}
}

// What a handler gets whose peer makes no progress.
var (
	errBodyTimeout   = fmt.Errorf("%w: %w", ErrReadTimeout, os.ErrDeadlineExceeded)
	errAnswerTimeout = fmt.Errorf("%w: %w", ErrWriteTimeout, os.ErrDeadlineExceeded)
)

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
