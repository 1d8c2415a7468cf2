package loop

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// Reading pauses while a handshake has this much before it that it did not
	// look at. One read of the loop may come on top.
	maxUnshaken = 16 << 10
	// maxHandshake is what a handshake may take in altogether.
	maxHandshake = maxUnshaken + readBufferSize

	defaultMaxHandshakes = 1024
)

var (
	errHandshakeTooLarge = errors.New("the peer's part is larger than 80 KiB")
	errGoexit            = errors.New("a callback of the tls.Config called runtime.Goexit")
)

// tlsHandshake is a TLS handshake under way: errors in it are final, so it has a
// goroutine that waits for its bytes.
type tlsHandshake struct {
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	done   func() // owned by the loop

	// Guarded by the mutex of the connection.
	more    sync.Cond // in, eof or over changed
	in      []byte    // received and not looked at
	taken   int       // bytes that were
	waiting bool      // for a place among Config.MaxHandshakes
	eof     bool
	over    bool // the connection has ended

	place *list.Element // among those that wait; guarded by the mutex of handshakes
}

func newTLSHandshake(c *Conn, received []byte, done func()) *tlsHandshake {
	h := &tlsHandshake{in: append([]byte(nil), received...), done: done}
	h.more.L = &c.mu
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

func (h *tlsHandshake) fullLocked() bool {
	return h.waiting || h.eof || len(h.in) >= maxUnshaken
}

// feed takes bytes that arrived, or their end. Loop only.
func (h *tlsHandshake) feed(c *Conn, b []byte, eof bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.in = append(h.in, b...)
	h.eof = eof
	h.more.Broadcast()
	c.updateInterestLocked()
}

// read waits for bytes. On the handshake's goroutine.
func (h *tlsHandshake) read(c *Conn, p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.idleLocked() {
		h.waitLocked(c)
	}
	switch {
	case h.over:
		return 0, net.ErrClosed
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
	c.updateInterestLocked()
	return n, nil
}

func (h *tlsHandshake) idleLocked() bool { return len(h.in) == 0 && !h.eof && !h.over }

// waitLocked waits for the peer, and lets another handshake compute meanwhile.
func (h *tlsHandshake) waitLocked(c *Conn) {
	turns := c.loop.group.turns
	turns.give()
	for h.idleLocked() {
		h.more.Wait()
	}
	c.mu.Unlock()
	turns.take()
	c.mu.Lock()
}

// abortLocked ends a handshake whose connection ends.
func (h *tlsHandshake) abortLocked(t *tlsLayer) {
	h.over, h.in = true, nil
	h.more.Broadcast()
	h.cancel()
	t.c.loop.group.handshakes.forget(h)
}

// handshakes bounds how many handshakes of a group run at a time. The others
// wait in turn, with their bytes in the kernel.
type handshakes struct {
	mu      sync.Mutex
	running int
	waiting list.List // of *tlsLayer
}

// admit says whether there is a place for t, which run is to be called with.
// Otherwise t waits for one.
func (hs *handshakes) admit(t *tlsLayer) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.running >= t.c.loop.group.cfg.MaxHandshakes {
		t.handshake.place = hs.waiting.PushBack(t)
		return false
	}
	hs.running++
	return true
}

// run does handshakes, one after the other, while some wait.
func (hs *handshakes) run(t *tlsLayer) {
	defer func() {
		if t != nil { // runtime.Goexit, in a callback of its tls.Config
			if t = hs.next(); t != nil {
				go hs.run(t)
			}
		}
	}()
	for ; t != nil; t = hs.next() {
		t.shake()
	}
}

// next returns the one that has waited longest; nil gives the place back.
func (hs *handshakes) next() *tlsLayer {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	first := hs.waiting.Front()
	if first == nil {
		hs.running--
		return nil
	}
	t := hs.waiting.Remove(first).(*tlsLayer)
	t.handshake.place = nil
	return t
}

// forget takes a handshake out of those that wait.
func (hs *handshakes) forget(h *tlsHandshake) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h.place != nil {
		hs.waiting.Remove(h.place)
		h.place = nil
	}
}

// shake runs the handshake and tells the loop.
func (t *tlsLayer) shake() {
	c, h := t.c, t.handshake
	c.mu.Lock()
	h.waiting = false
	c.updateInterestLocked()
	c.mu.Unlock()
	turns, err := c.loop.group.turns, errGoexit
	turns.take()
	defer func() {
		turns.give()
		_ = c.loop.post(mail{fn: func() { t.shaken(err) }}) // ended: so has c
	}()
	err = t.guarded(func() error { return t.conn.HandshakeContext(h.ctx) })
}

// guarded turns a panic in a callback of the tls.Config into an error.
func (t *tlsLayer) guarded(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in a callback of the tls.Config: %v", v)
			t.c.loop.group.cfg.Logger.Error("loop: "+err.Error(), "stack", string(debug.Stack()))
		}
	}()
	return fn()
}

// shakenEnded is readEnded for a connection whose handshake is under way.
func (c *Conn) shakenEnded(s status, err error) {
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		c.readEnded(s, err)
	default:
		c.tls.handshake.feed(c, nil, true)
	}
}
