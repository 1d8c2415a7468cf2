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
	told     *addrs  // immutable; nil: Conn knows them

	// Owned by who reads: net/http does from one goroutine at a time.
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

func newWebConn(s *Server, nc net.Conn, told *addrs) *webConn {
	c := &webConn{Conn: nc, server: s, told: told}
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

// fileWebConn is a webConn over a socket to which files can be sent.
type fileWebConn struct {
	*webConn
	socket io.ReaderFrom
}

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
	if c.told != nil {
		return c.told.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *webConn) LocalAddr() net.Addr {
	if c.told != nil {
		return c.told.local
	}
	return c.Conn.LocalAddr()
}

// begin hands on the request whose head is the first n octets of in.
func (c *webConn) begin(req *handshake.Request, n int) {
	c.body, c.arrival = req.Body(), patience{}
	k, whole, err := c.body.Scan(c.in.Bytes()[n:], c.server.settings.limits.head())
	c.accepted, c.whole, c.err = n+k, whole, err
	c.become(webRequest)
}

// next begins the request at the front of in, if that is a whole plain one.
func (c *webConn) next() bool {
	var s handshake.Scanner
	n, err := s.Scan(c.in.Bytes(), c.server.settings.limits.head())
	if n == 0 || err != nil {
		return false
	}
	req, err := handshake.ParseRequest(c.in.Bytes()[:n])
	if err != nil || req.IsUpgrade() {
		return false
	}
	c.begin(req, n)
	return true
}

// Read hands on what has been accepted.
func (c *webConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	phase := c.phase
	c.reading = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.reading = false
		c.mu.Unlock()
	}()
	switch {
	case len(p) == 0:
		return 0, nil
	case phase == webRequest:
		return c.readRequest(p)
	case phase == webAnswer:
		return c.watch(p)
	case phase == webIdle:
		return c.readNext(p)
	case phase == webHijacked && c.in.Len() > 0:
		return c.in.Read(p)
	case phase == webHijacked:
		return c.Conn.Read(p)
	}
	return 0, io.EOF
}

// readRequest reads of the request that is handed on.
func (c *webConn) readRequest(p []byte) (int, error) {
	for c.accepted == 0 {
		if c.err != nil {
			c.become(webBroken)
			return 0, c.err
		}
		n, err := c.readBody(p)
		if n == 0 {
			return 0, err
		}
		c.in.Write(p[:n])
		c.accepted, c.whole, c.err = c.body.Scan(c.in.Bytes(), c.server.settings.limits.head())
	}
	n := copy(p, c.in.Next(min(c.accepted, len(p))))
	if c.accepted -= n; c.accepted == 0 && c.whole {
		c.become(webAnswer)
	}
	return n, nil
}

// watch waits behind a request for a sign that its peer is gone, for which net/http
// reads in the background. What comes instead is kept for later, and nil says that
// there is nothing more to watch.
func (c *webConn) watch(p []byte) (int, error) {
	if c.in.Len() > 0 {
		return 0, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.in.Write(p[:n])
		return 0, nil
	}
	if !isTimeout(err) {
		c.become(webBroken)
	}
	return 0, err
}

// readNext reads of the next request, if it is one for net/http.
func (c *webConn) readNext(p []byte) (int, error) {
	if c.in.Len() == 0 {
		n, err := c.Conn.Read(p)
		if n == 0 {
			if !isTimeout(err) { // of net/http: the loop goes on waiting
				c.become(webBroken)
			}
			return 0, err
		}
		c.in.Write(p[:n])
	}
	if !c.next() {
		c.become(webBack)
		return 0, io.EOF
	}
	return c.readRequest(p)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
