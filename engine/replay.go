package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// replayConn is a connection whose first bytes were read already.
type replayConn struct {
	net.Conn
	read []byte
	told *endpoints // nil: Conn knows them
}

// secureReplayConn is a replayConn over a *tls.Conn. net/http asks it for the
// state of that.
type secureReplayConn struct {
	*replayConn
	secure *tls.Conn
}

// ConnectionState is what http.Request.TLS is made of.
func (c secureReplayConn) ConnectionState() tls.ConnectionState { return c.secure.ConnectionState() }

func newReplayConn(nc net.Conn, read []byte, told *endpoints) net.Conn {
	rc := &replayConn{Conn: nc, read: read, told: told}
	if tc, ok := nc.(*tls.Conn); ok {
		return secureReplayConn{rc, tc}
	}
	return rc
}

// unreplayed takes a replayConn apart.
func unreplayed(nc net.Conn) (raw net.Conn, read []byte, told *endpoints) {
	switch rc := nc.(type) {
	case *replayConn:
		return rc.Conn, rc.read, rc.told
	case secureReplayConn:
		return rc.Conn, rc.read, rc.told
	}
	return nc, nil, nil
}

func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	c.read = c.read[n:]
	return n, nil
}

// WriteTo keeps io.Copy from going past what is to be replayed.
func (c *replayConn) WriteTo(w io.Writer) (int64, error) {
	var n int64
	if len(c.read) > 0 {
		m, err := w.Write(c.read)
		c.read = c.read[m:]
		n = int64(m)
		if err != nil {
			return n, err
		}
	}
	m, err := io.Copy(w, c.Conn)
	return n + m, err
}

// CloseWrite lets net/http end in order when the peer still sends.
func (c *replayConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *replayConn) RemoteAddr() net.Addr {
	if c.told != nil {
		return c.told.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *replayConn) LocalAddr() net.Addr {
	if c.told != nil {
		return c.told.local
	}
	return c.Conn.LocalAddr()
}
