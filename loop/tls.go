package loop

import (
	"crypto/tls"
	"errors"
	"net"
)

// tlsState is how far the encryption of a connection has come. It only moves
// on, in advanceLocked.
type tlsState uint8

const (
	tlsHello   tlsState = iota // a server: the ClientHello is not whole yet
	tlsQueued                  // the handshake waits for a place
	tlsShaking                 // the handshake runs
	tlsAborted                 // the connection ended before the handshake was over
	tlsOpen                    // data is encrypted and decrypted
	tlsParted                  // close_notify was sent: no data after it
	tlsFailed                  // an alert was sent: no data after it
)

// tlsLayer is the TLS of one connection: a tls.Conn of the standard library,
// and the net.Conn under it, which has no socket. The loop puts in what it
// received and takes out what is to be sent.
type tlsLayer struct {
	// Immutable. It is set when the handshake begins, or by a tlsListener.
	conn *tls.Conn

	// The transport: one of the two. They change in Adopt and Detach, when
	// nobody else uses the connection.
	c  *Conn    // a connection of a loop
	nc net.Conn // a socket that may block

	// Guarded by the mutex of c.
	state     tlsState
	unread    bool          // kept, or conn, may hold whole records
	handshake *tlsHandshake // nil from tlsOpen on; changed by the loop only
	in        []byte        // what Read returns next, where nothing is lent
	kept      segment       // ciphertext received and not decrypted
	tallied   tlsLoad       // what the loop counts

	// Owned by the loop.
	eof     bool  // the peer ended TCP during the handshake
	end     error // why reading is over, if the handler is yet to hear of it
	arrival arrival
}

// advanceLocked moves t on to a later state, and does what the state calls for.
func (t *tlsLayer) advanceLocked(to tlsState) {
	if to <= t.state || t.state == tlsAborted {
		return
	}
	t.state = to
	switch h, g := t.handshake, t.c.loop.group; to {
	case tlsShaking:
		g.hellos.release(h)
	case tlsAborted:
		g.hellos.release(h)
		g.places.forget(h)
		h.abortLocked()
	case tlsOpen:
		h.cancel()
		t.takeOverLocked(h.in)
		t.handshake, t.eof = nil, h.eof
	}
	t.tallyLocked()
	t.c.updateInterestLocked()
}

// shaking says that the handshake is not over. For the loop, the handshake's own
// goroutine, and whoever holds the mutex.
func (t *tlsLayer) shaking() bool { return t.handshake != nil }

// TLS returns what the TLS handshake agreed; nil if the connection is not
// encrypted, or not yet. Any goroutine.
func (c *Conn) TLS() *tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tls == nil || c.tls.shaking() {
		return nil
	}
	state := c.tls.conn.ConnectionState()
	return &state
}

// StartTLSServer makes the connection an encrypted one, as its server, from
// OnOpen or OnData. received is what the peer sent of it already; it is copied.
//
// The handshake runs outside the loop, once the ClientHello has arrived whole and
// one of Config.MaxHandshakes places is free. Until it is over the handler gets
// OnTimer, OnNotify and OnClose only, and PauseRead pauses the handshake; the
// only deadline is the timer that the handler sets. Then done runs inside an
// event of the connection, on the loop, unless this side closed it meanwhile. If
// the handshake fails, OnClose gets the error. What is written from now on is
// sent encrypted, after the handshake.
//
// config must not be changed afterwards. With DynamicRecordSizingDisabled, up to
// 16 KiB of what is queued are one record; otherwise crypto/tls begins with small
// ones. Its callbacks run on another goroutine and may block; for what happens if
// they do not return see IsolateTLS. Loop only.
func (c *Conn) StartTLSServer(config *tls.Config, received []byte, done func()) {
	c.startTLS(tlsHello, received, done, func(t *tlsLayer) *tls.Conn { return tls.Server(t, config) })
}

// StartTLSClient is StartTLSServer for the client's side. config must name the
// server, or verify it by other means. If the server asks to renegotiate, the
// connection ends. A ClientSessionCache is also called on the loop, where it must
// not call methods of the connection.
func (c *Conn) StartTLSClient(config *tls.Config, received []byte, done func()) {
	config = clientConfig(config)
	c.startTLS(tlsQueued, received, done, func(t *tlsLayer) *tls.Conn { return tls.Client(t, config) })
}

// startTLS begins in the state first.
func (c *Conn) startTLS(first tlsState, received []byte, done func(), conn func(*tlsLayer) *tls.Conn) {
	if c.phase == ended {
		return
	}
	if c.tls != nil {
		c.end(errors.New("loop: start TLS: the connection is encrypted already"))
		return
	}
	c.mu.Lock()
	if c.out != nil {
		c.flushLocked(nil, nil)
	}
	if c.out != nil {
		c.mu.Unlock()
		c.end(errors.New("loop: start TLS: bytes are queued unencrypted; wait until they are sent"))
		return
	}
	t := &tlsLayer{c: c, state: first}
	t.handshake = newTLSHandshake(t, done, conn)
	c.tls = t
	c.loop.encrypts(1)
	err := t.takeInLocked(received)
	if first == tlsQueued { // a client, which speaks first
		t.admitLocked()
	}
	c.mu.Unlock()
	t.handshakeFailed(err)
}

// handshakeDone follows a handshake that has run. Loop only, outside any event.
func (t *tlsLayer) handshakeDone(err error) {
	c := t.c
	if t.handshakeFailed(err); c.phase == ended {
		return
	}
	s := c.enter()
	c.mu.Lock()
	done := t.handshake.done
	t.advanceLocked(tlsOpen)
	c.mu.Unlock()
	if s.listens() {
		done()
	}
	c.leave()
	c.resumeSealed()
}

// closeNotifyLocked sends close_notify (RFC 8446 section 6.1), for a caller that has
// nothing queued. It returns true when that has left, or cannot be sent.
func (c *Conn) closeNotifyLocked() (left bool) {
	t := c.tls
	if t == nil || t.state != tlsOpen {
		return true
	}
	t.advanceLocked(tlsParted)
	if t.conn.CloseWrite() != nil || c.out == nil { // it cannot be sent
		return true
	}
	c.flushLocked(nil, nil)
	return c.out == nil
}

// partLocked drops what is queued and sends close_notify if that can be done at
// once.
func (c *Conn) partLocked() {
	if c.tls == nil || c.out != nil && len(c.out.sealed.b) > 0 { // a record is sent in part
		return
	}
	c.loseLocked()
	c.closeNotifyLocked()
}

// endLocked gives back what a connection that ends held.
func (t *tlsLayer) endLocked() {
	t.c.loop.encrypts(-1)
	t.releaseKept()
	if t.shaking() {
		t.advanceLocked(tlsAborted)
	}
	t.countLocked(tlsLoad{})
}

// sendsLocked reports whether o holds something that may be sent now: before the
// handshake is over only what belongs to it.
func (t *tlsLayer) sendsLocked(o *outbox) bool {
	return !t.shaking() || len(o.sealed.b) > 0
}

// fullLocked says that the handshake takes no more for now, so that reading pauses.
func (t *tlsLayer) fullLocked() bool {
	h := t.handshake
	return h != nil && (h.eof || t.state > tlsHello && len(h.in) >= maxAhead)
}

// initTLS makes what the TLS handshakes of g share.
func (g *Group) initTLS() {
	g.places = newPlaces(g.cfg.MaxHandshakes, g.now)
	g.turns = newTurns(g.cfg.Loops, g.now)
	g.hellos.limit = maxHellos
}
