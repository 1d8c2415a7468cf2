package pull

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// NetConn returns c as a stream of bytes. Each Write sends one message of kind op,
// Text or Binary, and waits for room as [Conn.Write] does. Read reads the bytes of one
// message after the other, as they arrive and of any size; a message of the other kind
// fails the connection with 1003. Close sends what was written and begins the closing
// handshake with 1000; it does not wait. Deadlines work as for a TCP connection, and a
// deadline that has passed harms nothing.
//
// Read returns io.EOF after a closing handshake with 1000, 1001 or without a code, and
// after that of the server's Shutdown with any code. It returns net.ErrClosed after Close,
// Conn.CloseNow and Server.Close, and otherwise why the connection ended. Write returns
// net.ErrClosed after the end, whoever made it.
//
// Several goroutines may read from it, and write to it, at the same time. Do not read
// from c otherwise. There is no half-close: io.Copy in both directions ends when one
// side is closed.
func (c *Conn) NetConn(op engine.OpCode) net.Conn {
	nc := &netConn{c: c, op: op, local: c.ws.LocalAddr(), remote: c.ws.RemoteAddr()}
	nc.read.init()
	nc.write.init()
	return nc
}

// netConn is a Conn as a stream.
type netConn struct {
	// Immutable.
	c             *Conn
	op            engine.OpCode
	local, remote net.Addr

	read, write deadline

	mu   sync.Mutex // one Read at a time
	rest []byte     // of the piece taken last; guarded by mu
}

func (nc *netConn) LocalAddr() net.Addr  { return nc.local }
func (nc *netConn) RemoteAddr() net.Addr { return nc.remote }

func (nc *netConn) Read(p []byte) (int, error) {
	nc.mu.Lock()
	defer nc.mu.Unlock()
	ctx := nc.read.context()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for len(nc.rest) == 0 {
		if err := nc.more(ctx); err != nil {
			return 0, nc.readError(err)
		}
	}
	n := copy(p, nc.rest)
	nc.rest = nc.rest[n:]
	return n, nil
}

// more takes the next piece. Under mu.
func (nc *netConn) more(ctx moment) error {
	if err := nc.c.beginRead(); err != nil {
		return err
	}
	defer nc.c.endRead()
	p, err := nc.c.take(ctx, nil)
	if err != nil {
		return err
	}
	if p.op != nc.op {
		nc.c.fail(engine.StatusUnsupportedData, errOtherKind, errOtherKind.Reason)
		return errOtherKind
	}
	nc.rest = p.data
	return nil
}

var errOtherKind = &engine.ProtocolError{Code: engine.StatusUnsupportedData, Reason: "text and binary are not mixed here"}

func (nc *netConn) readError(err error) error {
	var closed *engine.CloseError
	switch {
	case orderly(err), errors.As(err, &closed) && nc.c.ws.Cause() == engine.CauseShutdown:
		return io.EOF
	case errors.Is(err, engine.ErrClosed), errors.Is(err, engine.ErrServerClosed):
		return fmt.Errorf("%w: %w", net.ErrClosed, err)
	}
	return err
}

func (nc *netConn) Write(p []byte) (int, error) {
	ctx := nc.write.context()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := nc.c.Write(ctx, nc.op, p); err != nil {
		switch {
		case !errors.Is(err, engine.ErrClosed):
		case nc.write.context().isClosed():
			err = net.ErrClosed
		default:
			err = fmt.Errorf("%w: %w", net.ErrClosed, err)
		}
		return 0, err
	}
	return len(p), nil
}

func (nc *netConn) Close() error {
	nc.read.close()
	nc.write.close()
	return nc.c.beginClose(engine.StatusNormalClosure, "")
}

func (nc *netConn) SetDeadline(t time.Time) error {
	return errors.Join(nc.read.set(t), nc.write.set(t))
}

func (nc *netConn) SetReadDeadline(t time.Time) error  { return nc.read.set(t) }
func (nc *netConn) SetWriteDeadline(t time.Time) error { return nc.write.set(t) }

// deadline is the end of all reads, or all writes, of a netConn. Any goroutine.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer   // nil: none is set
	passed chan struct{} // closed when it has passed
	ended  chan struct{} // closed by Close of the connection
}

func (d *deadline) init() { d.passed, d.ended = make(chan struct{}), make(chan struct{}) }

// set replaces the deadline. The zero time is none.
func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if isClosed(d.ended) {
		return net.ErrClosed
	}
	if d.timer != nil && !d.timer.Stop() {
		<-d.passed // it is about to be closed
	}
	d.timer = nil
	if isClosed(d.passed) {
		d.passed = make(chan struct{})
	}
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		close(d.passed)
	default:
		passed := d.passed
		d.timer = time.AfterFunc(left, func() { close(passed) })
	}
	return nil
}

// close makes the deadline pass for good.
func (d *deadline) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if isClosed(d.ended) {
		return
	}
	close(d.ended) // before passed, which wakes those that look at it
	if d.timer != nil && !d.timer.Stop() {
		<-d.passed // it is about to be closed
	}
	if !isClosed(d.passed) {
		close(d.passed)
	}
}

// context returns a context of the deadline as it is now.
func (d *deadline) context() moment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return moment{d.passed, d.ended}
}

// moment is a context that is done when a deadline passes.
type moment struct{ passed, ended <-chan struct{} }

func (m moment) Deadline() (time.Time, bool) { return time.Time{}, false }
func (m moment) Done() <-chan struct{}       { return m.passed }
func (m moment) Value(any) any               { return nil }
func (m moment) isClosed() bool              { return isClosed(m.ended) }

func (m moment) Err() error {
	switch {
	case m.isClosed():
		return net.ErrClosed
	case isClosed(m.passed):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
