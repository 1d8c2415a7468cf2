package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

const (
	// Reading pauses while a handshake has this much before it that it did not
	// look at. One read of the loop may come on top.
	maxAhead = 16 << 10
	// maxHandshake is what a handshake may take in altogether.
	maxHandshake = maxAhead + readBufferSize
)

var errHandshakeTooLarge = errors.New("the peer's part is larger than 80 KiB")

// tlsHandshake is a TLS handshake that is not over. Errors in it are final, so it
// has a goroutine that waits for bytes.
type tlsHandshake struct {
	// Immutable.
	layer  *tlsLayer
	client bool
	newTLS func(*tlsLayer) *tls.Conn

	done func() // owned by the loop

	// Guarded by the mutex of the connection.
	ctx       context.Context // ends with the connection; nil until the handshake runs
	stop      context.CancelFunc
	more      sync.Cond    // in, eof, displaced or the state changed
	in        []byte       // received and not looked at
	taken     int          // bytes that were
	hello     helloScanner // of in, in tlsHello
	eof       bool         // the peer ended TCP
	displaced bool         // another has its place: it does not wait for its peer any more

	held  helloHeld // guarded by the mutex of hellos
	place place     // guarded by the mutex of places
}

func newTLSHandshake(t *tlsLayer, done func(), newTLS func(*tlsLayer) *tls.Conn) *tlsHandshake {
	return &tlsHandshake{
		layer: t, client: t.state != tlsHello, newTLS: newTLS, done: done, more: sync.Cond{L: &t.c.mu},
	}
}

// admitLocked begins the handshake, if there is a place for it.
func (t *tlsLayer) admitLocked() {
	h, places := t.handshake, t.c.loop.group.places
	if !places.admit(h) {
		t.advanceLocked(tlsQueued)
		return
	}
	t.advanceLocked(tlsShaking)
	go places.run(h)
}

// feed takes bytes that arrived, or their end. Loop only.
func (t *tlsLayer) feed(b []byte, eof bool) {
	c := t.c
	c.mu.Lock()
	var err error
	if eof {
		err = t.takeEndLocked()
	} else {
		err = t.takeInLocked(b)
	}
	c.mu.Unlock()
	t.handshakeFailed(err)
}

// takeEndLocked takes the end of what the peer sends. Nobody who has ended before
// the handshake runs can finish it.
func (t *tlsLayer) takeEndLocked() error {
	if t.state < tlsShaking {
		return io.EOF
	}
	t.handshake.eof = true
	t.handshake.more.Broadcast()
	t.c.updateInterestLocked()
	return nil
}

// handshakeFailed ends the connection if err is not nil. Loop only.
func (t *tlsLayer) handshakeFailed(err error) {
	switch {
	case err == nil || t.c.phase == ended:
		return
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, ErrHandshakeShed):
		t.c.loop.group.shed.Add(1)
		t.c.end(err)
		return
	case errors.Is(err, ErrTLSUnusable):
		t.c.end(err)
		return
	}
	t.c.end(fmt.Errorf("loop: TLS handshake: %w", err))
}

// readInHandshake waits for bytes. On the handshake's goroutine.
func (t *tlsLayer) readInHandshake(p []byte) (int, error) {
	c, h := t.c, t.handshake
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.idleLocked() {
		t.awaitLocked()
	}
	switch {
	case t.state == tlsAborted:
		return 0, net.ErrClosed
	case len(h.in) == 0 && h.displaced:
		return 0, errDisplaced
	case len(h.in) == 0:
		return 0, io.EOF
	case h.taken >= maxHandshake:
		return 0, errHandshakeTooLarge
	}
	n := copy(p, h.in[:min(len(h.in), maxHandshake-h.taken)])
	h.taken += n
	if h.in = h.in[n:]; len(h.in) == 0 {
		h.in = nil
	}
	t.tallyLocked()
	c.updateInterestLocked()
	return n, nil
}

// idleLocked says that the handshake can only wait for its peer.
func (t *tlsLayer) idleLocked() bool {
	h := t.handshake
	return len(h.in) == 0 && !h.eof && !h.displaced && t.state == tlsShaking
}

// awaitLocked waits for the peer, and lets another handshake compute meanwhile.
func (t *tlsLayer) awaitLocked() {
	c, g := t.c, t.c.loop.group
	g.turns.give()
	g.places.waits(t.handshake)
	for t.idleLocked() {
		t.handshake.more.Wait()
	}
	g.places.answered(t.handshake)
	c.mu.Unlock()
	g.turns.take(true)
	c.mu.Lock()
}

// displace follows the loss of the place of h. A server gives the handshake up,
// unless it can go on with what has arrived: who connects decides how many there
// are. A client goes on, since the program decided how many it dials.
func (h *tlsHandshake) displace() {
	if h.client {
		return
	}
	h.more.L.Lock()
	defer h.more.L.Unlock()
	h.displaced = true
	h.more.Broadcast()
}

// abortLocked ends a handshake whose connection ends.
func (h *tlsHandshake) abortLocked() {
	h.in = nil
	h.more.Broadcast()
	h.cancel()
}

// cancel ends the context that callbacks of the tls.Config see.
func (h *tlsHandshake) cancel() {
	if h.stop != nil {
		h.stop()
	}
}

// shake runs the handshake and tells the loop.
func (h *tlsHandshake) shake() {
	if !h.begin() {
		return
	}
	var err error
	t := h.layer
	turns := t.c.loop.group.turns
	turns.take(false)
	defer func() {
		turns.give()
		t.tellPanic(err)
		_ = t.c.loop.post(mail{fn: func() { t.handshakeDone(err) }}) // ended: so has the connection
	}()
	if h.left() {
		err = io.EOF
		return
	}
	t.guarded(&err, func() error {
		if err := CheckTLS(); err != nil {
			return err
		}
		return t.conn.HandshakeContext(h.ctx)
	})
}

// begin makes the tls.Conn of a handshake that has got its place; false if its
// connection has ended.
func (h *tlsHandshake) begin() bool {
	h.more.L.Lock()
	defer h.more.L.Unlock()
	t := h.layer
	t.advanceLocked(tlsShaking)
	if t.state != tlsShaking {
		return false
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	t.conn = h.newTLS(t)
	return true
}

// left says that the peer has left before the handshake computed anything: it
// cannot answer.
func (h *tlsHandshake) left() bool {
	h.more.L.Lock()
	defer h.more.L.Unlock()
	return h.eof || h.layer.state == tlsAborted
}

// handshakeReadEnded is readEnded for a connection whose handshake is under way.
func (c *Conn) handshakeReadEnded(s status, err error) {
	switch {
	case err == syscall.EAGAIN:
	case err != nil:
		c.readEnded(s, err)
	default:
		c.tls.feed(nil, true)
	}
}
