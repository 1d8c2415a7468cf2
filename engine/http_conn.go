package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/fanloop-go/fanloop/handshake"
)

// webConn is a connection that net/http serves for a Server. Of what the peer sends
// it hands on one request at a time, and only what the strict parser has accepted,
// so net/http never sees anything else. When the next thing is not a whole plain
// request (part of a head, a head that is to be refused, an upgrade, silence), the
// connection goes back to a loop with it: Close does that.
type webConn struct {
	net.Conn         // of Detach: a socket, or TLS over one
	server   *Server // immutable
	proxied  *addrs  // of the PROXY header; nil: there was none; immutable

	// Owned by the reader: net/http reads from one goroutine at a time.
	in       bytes.Buffer   // received and not handed on
	accepted int            // octets at the front of in that may be handed on
	body     handshake.Body // of the request under way
	whole    bool           // the request ends behind the accepted octets
	err      error          // why what follows them is no body
	arrival  patience       // with the body

	mu      sync.Mutex
	phase   webPhase
	reading bool // in Read
	reads   wait
	writes  wait
}

// webPhase is what the peer's next octets are to a webConn.
type webPhase uint8

const (
	webRequest  webPhase = iota // of the request that is handed on
	webAnswer                   // behind that request, which is not answered yet
	webIdle                     // of the next request
	webBack                     // for a loop, which gets the connection
	webHijacked                 // a handler's, as they are
	webBroken                   // not looked at
	webClosed
)

func newWebConn(s *Server, nc net.Conn, proxied *addrs) *webConn {
	c := &webConn{Conn: nc, server: s, proxied: proxied}
	c.reads.apply, c.writes.apply = nc.SetReadDeadline, nc.SetWriteDeadline
	return c
}

// secureWebConn is a webConn over a *tls.Conn, of which http.Request.TLS is made.
type secureWebConn struct {
	*webConn
	secure interface{ ConnectionState() tls.ConnectionState }
}

// ConnectionState is for net/http.
func (c secureWebConn) ConnectionState() tls.ConnectionState { return c.secure.ConnectionState() }

// asNetConn returns c as net/http is to see it.
func (c *webConn) asNetConn() net.Conn {
	switch nc := c.Conn.(type) {
	case *tls.Conn:
		return secureWebConn{c, nc}
	case io.ReaderFrom:
		return fileWebConn{c, nc}
	}
	return c
}

// own is the inverse of asNetConn.
func (c *webConn) own() *webConn { return c }

// become moves c on to a phase, unless it is closed.
func (c *webConn) become(p webPhase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != webClosed {
		c.phase = p
	}
}

// changed is what net/http says about c.
func (c *webConn) changed(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase == webClosed:
	case state == http.StateHijacked:
		c.phase = webHijacked
		c.server.web.hijack(c)
	case state == http.StateIdle && c.phase == webAnswer:
		c.phase = webIdle
	case state == http.StateIdle: // a request is answered that was not handed on to its end
		c.phase = webBroken
	}
}

// Close ends the connection, or gives it back to a loop, where a next request may
// still come. It counts until then, whoever has it.
func (c *webConn) Close() error {
	c.mu.Lock()
	was, elsewhere := c.phase, c.reading
	c.phase = webClosed
	c.mu.Unlock()
	if was == webClosed {
		return net.ErrClosed
	}
	c.server.web.forget(c)
	if (was == webIdle || was == webBack) && !elsewhere && c.server.takeBack(c) {
		return nil
	}
	err := c.Conn.Close()
	c.server.forget()
	return err
}

// CloseWrite lets net/http end in order when the peer still sends.
func (c *webConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *webConn) RemoteAddr() net.Addr {
	if c.proxied != nil {
		return c.proxied.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *webConn) LocalAddr() net.Addr {
	if c.proxied != nil {
		return c.proxied.local
	}
	return c.Conn.LocalAddr()
}
