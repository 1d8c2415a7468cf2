package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
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

// readBody reads from the peer what may be of a body, which has to make progress
// while somebody waits for it.
func (c *webConn) readBody(p []byte) (int, error) {
	limit := c.server.settings.limits.ReadTimeout
	if limit < 0 {
		return c.Conn.Read(p)
	}
	from := time.Now()
	c.limit(&c.reads, from.Add(limit-c.arrival.waited))
	n, err := c.Conn.Read(p)
	c.limit(&c.reads, time.Time{})
	c.arrival.came(n, time.Since(from))
	if n == 0 && isTimeout(err) && c.arrival.waited >= limit {
		c.become(webBroken)
		return 0, errBodyTimeout
	}
	return n, err
}

// webPiece is of how many bytes at a time the peer has to take an answer, each within
// Limits.WriteTimeout.
const webPiece = 64 << 10

// Write writes of an answer.
func (c *webConn) Write(p []byte) (written int, err error) {
	for {
		n, err := c.writePiece(func() (int64, error) {
			n, err := c.Conn.Write(p[written:min(len(p), written+webPiece)])
			return int64(n), err
		})
		written += int(n)
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// writePiece runs write, for which the peer has Limits.WriteTimeout.
func (c *webConn) writePiece(write func() (int64, error)) (int64, error) {
	limit := c.server.settings.limits.WriteTimeout
	if limit < 0 {
		return write()
	}
	until := time.Now().Add(limit)
	c.limit(&c.writes, until)
	n, err := write()
	c.limit(&c.writes, time.Time{})
	if isTimeout(err) && !time.Now().Before(until) {
		err = errAnswerTimeout
	}
	return n, err
}

// ReadFrom writes what src has: a file goes to the socket by sendfile.
func (c fileWebConn) ReadFrom(src io.Reader) (written int64, err error) {
	file, left := fileOf(src)
	if file == nil {
		return io.Copy(struct{ io.Writer }{c.webConn}, src)
	}
	for err == nil && left > 0 {
		var n int64
		n, err = c.writePiece(func() (int64, error) {
			return c.socket.ReadFrom(&io.LimitedReader{R: file, N: min(left, webPiece)})
		})
		written, left = written+n, left-n
		if n == 0 { // its end
			break
		}
	}
	if limited, ok := src.(*io.LimitedReader); ok {
		limited.N = left
	}
	return written, err
}

// fileOf returns the file that src reads of, and how many bytes at most; nil if it
// is none: what else is read may take its time, for which the peer is not to blame.
func fileOf(src io.Reader) (file *os.File, left int64) {
	left = math.MaxInt64
	if limited, ok := src.(*io.LimitedReader); ok {
		src, left = limited.R, limited.N
	}
	file, ok := src.(*os.File)
	if !ok {
		return nil, 0
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, 0
	}
	return file, left
}
