package loop

import (
	"crypto/tls"
	"errors"
	"net"
)

// NewTLSListener encrypts the connections of nl with config, for net/http and
// others that read with goroutines. It is tls.NewListener, but a connection that
// was hijacked can be given to Adopt. config must not be nil, and not be changed
// afterwards; for DynamicRecordSizingDisabled see [Conn.StartTLSServer]. Accept
// makes no handshake: the first Read, Write or Handshake does.
func NewTLSListener(nl net.Listener, config *tls.Config) net.Listener {
	return &tlsListener{Listener: nl, config: config}
}

type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener. It returns a *tls.Conn.
func (ln *tlsListener) Accept() (net.Conn, error) {
	nc, err := ln.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tlsLayer{nc: nc, state: tlsOpen} // whoever reads makes the handshake
	t.conn = tls.Server(t, ln.config)
	return t.conn, nil
}

// layerOf returns what is under nc if that is a *tls.Conn.
func layerOf(nc net.Conn) (*tlsLayer, error) {
	conn, ok := nc.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	t, ok := conn.NetConn().(*tlsLayer)
	switch {
	case !ok:
		return nil, errors.New("its TLS is foreign: use the listener of engine.NewTLSListener or loop.NewTLSListener")
	case t.nc == nil:
		return nil, errors.New("a loop owns it already")
	case !conn.ConnectionState().HandshakeComplete:
		return nil, errors.New("the TLS handshake is not finished")
	}
	return t, CheckTLS()
}

// moveToLoop makes c the transport of t. Loop only, before c is opened.
func (t *tlsLayer) moveToLoop(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.takeOverLocked(t.in)
	t.c, t.nc, t.in = c, nil, nil
	t.state, t.eof, t.end = tlsOpen, false, nil
	c.tls = t
	c.loop.encrypts(1)
	t.tallyLocked()
}

// moveToSocketLocked makes nc the transport of t, which leaves its loop.
func (t *tlsLayer) moveToSocketLocked(nc net.Conn) *tls.Conn {
	t.in = append(append([]byte(nil), t.in...), t.kept.b...)
	t.releaseKept()
	t.countLocked(tlsLoad{})
	t.c.loop.encrypts(-1)
	t.c.tls = nil
	t.c, t.nc = nil, nc
	return t.conn
}
