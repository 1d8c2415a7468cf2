package loop

import (
	"errors"
	"net"
	"time"
)

// noInput is what a read of the loop's own returns when there is nothing: a
// temporary error, after which tls.Conn can be read again, even inside a record.
type noInput struct{}

func (noInput) Error() string   { return "loop: nothing more was received" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

var errNoInput net.Error = noInput{}

// maxAnswers bounds the ciphertext that waits because of what the peer sends:
// answers to its key updates, which it does not read.
const maxAnswers = 128 << 10

var errAnswersUnread = errors.New("the peer asks for more than it reads")

// Read implements net.Conn for the tls.Conn. During the handshake it blocks;
// afterwards it is called under the mutex of the connection.
func (t *tlsLayer) Read(p []byte) (int, error) {
	if t.shaking() {
		return t.readInHandshake(p)
	}
	if len(t.in) > 0 {
		n := copy(p, t.in)
		t.in = t.in[n:]
		return n, nil
	}
	if t.nc != nil {
		t.in = nil
		return t.nc.Read(p)
	}
	return 0, errNoInput
}

// Write implements net.Conn for the tls.Conn: it takes ciphertext. During the
// handshake it sends what the socket takes; afterwards it is called under the
// mutex of the connection, by those who send next.
func (t *tlsLayer) Write(p []byte) (int, error) {
	switch {
	case t.nc != nil:
		return t.nc.Write(p)
	case t.shaking():
		return t.writeInHandshake(p)
	}
	o := t.c.queueLocked()
	if len(o.sealed.b)+len(p) > maxAnswers {
		return 0, errAnswersUnread
	}
	o.appendSealed(p)
	return len(p), nil
}

func (t *tlsLayer) writeInHandshake(p []byte) (int, error) {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == ended || c.asked == writeFailed {
		return 0, net.ErrClosed
	}
	c.queueLocked().appendSealed(p)
	if c.flags&corked == 0 && c.want&writable == 0 {
		c.flushLocked(nil, nil)
	}
	return len(p), nil
}

// Close implements net.Conn. The connection of a loop is closed by the loop.
func (t *tlsLayer) Close() error {
	if t.nc == nil {
		return nil
	}
	return t.nc.Close()
}

// LocalAddr implements net.Conn, for callbacks of the tls.Config.
func (t *tlsLayer) LocalAddr() net.Addr {
	if t.nc == nil {
		return t.c.LocalAddr()
	}
	return t.nc.LocalAddr()
}

// RemoteAddr implements net.Conn, for callbacks of the tls.Config.
func (t *tlsLayer) RemoteAddr() net.Addr {
	if t.nc == nil {
		return t.c.RemoteAddr()
	}
	return t.nc.RemoteAddr()
}

// SetDeadline implements net.Conn; nothing blocks on a loop.
func (t *tlsLayer) SetDeadline(at time.Time) error {
	if t.nc == nil {
		return nil
	}
	return t.nc.SetDeadline(at)
}

// SetReadDeadline implements net.Conn as SetDeadline does.
func (t *tlsLayer) SetReadDeadline(at time.Time) error {
	if t.nc == nil {
		return nil
	}
	return t.nc.SetReadDeadline(at)
}

// SetWriteDeadline implements net.Conn as SetDeadline does.
func (t *tlsLayer) SetWriteDeadline(at time.Time) error {
	if t.nc == nil {
		return nil
	}
	return t.nc.SetWriteDeadline(at)
}
