package engine

import (
	"io"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
)

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
	req, err := s.Request(c.in.Bytes()[:n])
	if err != nil || req.IsUpgrade() {
		return false
	}
	c.begin(req, n)
	return true
}

// Read hands on the bytes that have been accepted.
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

// readBody reads from the peer what may be of a body, which has to make progress
// while a handler reads it.
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
