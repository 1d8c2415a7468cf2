package loop

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// tlsLayer is the TLS of one connection: a tls.Conn of the standard library,
// and the net.Conn under it, which has no socket. The loop puts in what it
// received and takes out what is to be sent.
type tlsLayer struct {
	conn *tls.Conn // immutable

	// The transport: one of the two. They change in Adopt and Detach, when
	// nobody else uses the connection.
	c  *Conn    // a connection of a loop
	nc net.Conn // a socket that may block

	// Guarded by the mutex of c.
	handshake *tlsHandshake // nil: it is over
	in        []byte        // what Read returns next, where nothing is lent
	kept      segment       // ciphertext received and not decrypted
	unread    bool          // kept, or conn, may hold whole records
	failed    bool          // an alert was sent: no data after it
	notified  bool          // close_notify was sent: no data after it

	// Owned by the loop.
	eof bool  // the peer ended TCP during the handshake
	end error // why reading is over, if the handler is yet to hear of it
}

// TLS returns what the TLS handshake agreed; nil if the connection is not
// encrypted, or not yet. Any goroutine.
func (c *Conn) TLS() *tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tls == nil || c.tls.handshake != nil {
		return nil
	}
	state := c.tls.conn.ConnectionState()
	return &state
}

// StartTLSServer makes the connection an encrypted one, as its server, from
// OnOpen or OnData. received is what the peer sent of it already; it is copied.
//
// The handshake runs outside the loop. Until it is over the handler gets
// OnTimer, OnNotify and OnClose only, and PauseRead pauses the handshake; no
// deadline is set but what the handler does on OnTimer. Then done runs inside an
// event of the connection, on the loop, unless this side closed it meanwhile. If
// the handshake fails, OnClose says why. What is written from now on leaves
// encrypted, after the handshake.
//
// config must not be changed afterwards. With DynamicRecordSizingDisabled, up to
// 16 KiB of what is queued are one record; otherwise crypto/tls begins with small
// ones. Its callbacks run on another goroutine and may block; those of a
// ClientSessionCache may run on the loop too, where they must not call methods of
// the connection. Loop only.
func (c *Conn) StartTLSServer(config *tls.Config, received []byte, done func()) {
	c.startTLS(received, done, func(t *tlsLayer) *tls.Conn { return tls.Server(t, config) })
}

// StartTLSClient is StartTLSServer for the client's side. config must name the
// server, or verify it by other means. A server's wish to renegotiate ends the
// connection.
func (c *Conn) StartTLSClient(config *tls.Config, received []byte, done func()) {
	if config.Renegotiation != tls.RenegotiateNever {
		config = config.Clone()
		config.Renegotiation = tls.RenegotiateNever
	}
	c.startTLS(received, done, func(t *tlsLayer) *tls.Conn { return tls.Client(t, config) })
}

func (c *Conn) startTLS(received []byte, done func(), over func(*tlsLayer) *tls.Conn) {
	if c.phase == ended {
		return
	}
	if c.tls != nil {
		c.doom(errors.New("loop: start TLS: the connection is encrypted already"))
		return
	}
	t := &tlsLayer{c: c}
	t.conn = over(t)
	h, places := newTLSHandshake(c, received, done), &c.loop.group.handshakes
	c.mu.Lock()
	if c.out != nil {
		c.flushOnLoopLocked()
	}
	late, admitted := c.out != nil, false
	if !late {
		t.handshake = h
		c.tls = t
		c.loop.encrypts(1)
		admitted = places.admit(t)
		h.waiting = !admitted
		c.updateInterestLocked()
	}
	c.mu.Unlock()
	switch {
	case late:
		c.doom(errors.New("loop: start TLS: bytes are queued unencrypted; wait until they are sent"))
	case admitted:
		go places.run(t)
	}
}

// shaken is what follows the handshake. Loop only, outside any event.
func (t *tlsLayer) shaken(err error) {
	c := t.c
	switch {
	case c.phase == ended:
		return
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil:
		c.doom(fmt.Errorf("loop: TLS handshake: %w", err))
		return
	}
	s := c.enter()
	c.mu.Lock()
	h := t.handshake
	t.takeOverLocked(h.in)
	t.handshake, t.eof = nil, h.eof
	c.updateInterestLocked()
	c.mu.Unlock()
	h.cancel()
	if s.listens() {
		h.done()
	}
	c.leave()
	if c.phase != ended {
		c.resumeSealed()
	}
}

// farewellLocked sends close_notify once nothing is queued before it (RFC 8446
// section 6.1). It says whether it has left, or has no place.
func (c *Conn) farewellLocked() (left bool) {
	t := c.tls
	if t == nil || t.handshake != nil || t.failed || t.notified {
		return true
	}
	t.notified = true
	if t.conn.CloseWrite() != nil || c.out == nil { // it cannot be written any more
		return true
	}
	c.flushOnLoopLocked()
	return c.out == nil
}

// partLocked sends close_notify if that can be done at once. What is queued is
// dropped.
func (c *Conn) partLocked() {
	if c.tls == nil || c.out != nil && len(c.out.sealed.b) > 0 { // a record is on its way in part
		return
	}
	c.loseLocked()
	c.farewellLocked()
}

// endLocked gives back what a connection that ends held.
func (t *tlsLayer) endLocked() {
	t.c.loop.encrypts(-1)
	t.releaseKept()
	if t.handshake != nil {
		t.handshake.abortLocked(t)
	}
}

// sendsLocked says whether the socket is to be asked to take some of o.
func (t *tlsLayer) sendsLocked(o *outbox) bool {
	return t.handshake == nil || len(o.sealed.b) > 0
}

// fullLocked says that nothing more is to be received for now.
func (t *tlsLayer) fullLocked() bool { return t.handshake != nil && t.handshake.fullLocked() }
