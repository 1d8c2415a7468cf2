package loop

import (
	"bytes"
	"fmt"
	"io"
)

const (
	recordHeader  = 5
	maxPlaintext  = 16 << 10                            // RFC 8446 section 5.1
	maxRecord     = recordHeader + maxPlaintext + 2<<10 // RFC 5246 section 6.2.3
	sealedSize    = maxRecord + readBufferSize          // a partial record, and one read behind it
	plaintextSize = sealedSize
)

// tlsBuffers are what the encrypted connections of a loop share. Owned by the
// loop.
type tlsBuffers struct {
	sealed    [sealedSize]byte
	plaintext [plaintextSize]byte
}

// encrypts counts n more encrypted connections. Loop only.
func (l *Loop) encrypts(n int) {
	if l.tls == nil {
		l.tls = new(tlsBuffers)
	}
	l.encrypted.Add(int64(n))
}

// readSealed is readReady for an encrypted connection.
func (c *Conn) readSealed(ev interest) {
	t := c.tls
	buf := c.loop.tls.sealed[maxRecord:]
	for range readsPerEvent {
		c.resumeSealed()
		if c.phase == ended {
			return
		}
		s, full := c.enterSealed()
		if full || s.flags&readPaused != 0 || s.phase == opening {
			c.leave()
			c.hungUpWhilePaused(s, ev)
			return
		}
		n, err := recv(int(c.fd), buf)
		c.loop.counters.BytesIn += uint64(max(n, 0))
		shaking := t.shaking()
		switch {
		case n <= 0:
		case shaking:
			t.feed(buf[:n], false)
		case s.listens():
			t.arrival.heard = c.loop.now
			c.loop.Charge(Cost(n) * costDecrypted)
			t.deliver(buf[:n])
		default:
			c.discarded(n)
		}
		c.leave()
		switch {
		case c.phase == ended:
			return
		case n <= 0 && shaking:
			c.handshakeReadEnded(s, err)
			return
		case n <= 0:
			c.readEnded(s, err)
			return
		case t.end != nil:
			c.sealedEnded()
			return
		case n < len(buf) && ev&hangup == 0:
			return
		}
		if c.loop.Left() == 0 {
			break
		}
	}
	if edgeTriggered {
		c.askAgain()
	}
}

// enterSealed is enter; full says that nothing is to be received.
func (c *Conn) enterSealed() (s status, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.status
	c.flags |= corked
	c.loop.call.conn = c
	t := c.tls
	late := s.listens() && !t.shaking() && (t.unread || t.end != nil) // what is kept goes first
	return s, late || t.fullLocked()
}

// resumeSealed delivers what was received while it could not be. Loop only,
// outside any event.
func (c *Conn) resumeSealed() {
	if c.phase == ended {
		return
	}
	t := c.tls
	c.mu.Lock()
	due := (t.unread || t.end != nil) && !t.shaking() && c.flags&readPaused == 0 && c.listens()
	c.mu.Unlock()
	if !due {
		return
	}
	if t.end == nil {
		c.enter()
		t.deliver(nil)
		c.leave()
	}
	if c.phase != ended && t.end != nil {
		c.sealedEnded()
	}
}

// sealedEnded acts on the end of what the peer sends. Loop only, outside any
// event.
func (c *Conn) sealedEnded() {
	t := c.tls
	if t.end != io.EOF {
		t.tellPanic(t.end)
		c.end(fmt.Errorf("loop: TLS: %w", t.end))
		return
	}
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	if s.flags&readPaused != 0 && s.listens() {
		return // resumeSealed follows
	}
	t.end = nil
	c.readEnded(s, nil)
}

// deliver decrypts what was kept and what is fresh, and hands it to the handler.
// Loop only, inside an event.
func (t *tlsLayer) deliver(fresh []byte) {
	c, out := t.c, t.c.loop.tls.plaintext[:]
	for goOn := true; goOn; {
		n, more := t.open(fresh, out)
		fresh = nil
		if n > 0 {
			c.handler.OnData(out[:n])
			Poison(out[:n])
		}
		c.mu.Lock()
		goOn = more && c.flags&readPaused == 0 && c.listens() // if not: Detach gave t to somebody else
		c.mu.Unlock()
	}
}

// open decrypts what was kept and what is fresh into dst, and notes in t.end why
// reading is over. more says that dst was too small. It unlocks whatever happens:
// a callback of the tls.Config may not return.
func (t *tlsLayer) open(fresh, dst []byte) (n int, more bool) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	src := t.joinLocked(fresh)
	before := len(src)
	n, t.end = t.openLocked(src, dst)
	t.tallyLocked()
	t.arrival.left(len(t.kept.b), len(t.kept.b) < before, t.c.loop.now)
	if t.end == nil && t.eof && !t.unread {
		t.end = io.EOF
	}
	return n, t.unread && t.end == nil
}

// joinLocked returns what was kept, followed by fresh, which lies where
// maxRecord bytes are free before it.
func (t *tlsLayer) joinLocked(fresh []byte) []byte {
	k := len(t.kept.b)
	switch {
	case k == 0:
		t.releaseKept()
		return fresh
	case len(fresh) == 0:
		return t.kept.b
	}
	sealed := &t.c.loop.tls.sealed
	copy(sealed[maxRecord-k:], t.kept.b)
	t.releaseKept()
	return sealed[maxRecord-k : maxRecord+len(fresh)]
}

// keepLocked keeps what is left of what joinLocked returned, in a buffer that is
// not much larger: the peer may take its time to send more.
func (t *tlsLayer) keepLocked(rest []byte) {
	old := t.kept
	switch {
	case len(rest) == 0:
		t.kept = segment{}
	case old.chunk != nil && !old.chunk.roomyFor(len(rest)):
		t.kept.b = rest
		return
	case len(rest) > maxChunk:
		t.kept = segment{b: bytes.Clone(rest)}
	default:
		ch := getChunk(len(rest))
		t.kept = segment{b: append(ch.b, rest...), chunk: ch}
	}
	old.release()
}

func (t *tlsLayer) releaseKept() {
	t.kept.release()
	t.kept = segment{}
}

// openLocked decrypts src into dst, keeps what is left and returns the number
// of plaintext bytes. unread says afterwards that dst was too small for all. err
// is why nothing more will come: io.EOF after close_notify.
func (t *tlsLayer) openLocked(src, dst []byte) (n int, err error) {
	t.guarded(&err, func() (err error) {
		n, err = t.readRecordsLocked(src, dst)
		return err
	})
	if err == errNoInput {
		err = nil
	}
	if err != nil && err != io.EOF {
		t.advanceLocked(tlsFailed)
	}
	return n, err
}

func (t *tlsLayer) readRecordsLocked(src, dst []byte) (n int, err error) {
	raw := t.lender()
	if raw == nil {
		return t.readOwnLocked(src, dst)
	}
	defer t.takeBackLocked(raw)
	for err == nil && (t.unread || wholeRecord(src)) {
		if t.unread = len(dst)-n < maxPlaintext; t.unread {
			break
		}
		record := src[:recordSize(src)]
		if t.holdsPlaintext() { // of its own, from before it came to the loop
			record = nil
		}
		*raw = *bytes.NewBuffer(record[:len(record):len(record)])
		var m int
		m, err = t.conn.Read(dst[n:])
		switch {
		case t.holdsPlaintext():
			lending.Store(false)
			return 0, errHoldsLent
		case err == errNoInput && len(record) > 0 && raw.Len() == len(record): // it does not look at what is lent
			lending.Store(false)
			*raw = bytes.Buffer{}
			m, err = t.readOwnLocked(src, dst[n:])
			return n + m, err
		case err == errNoInput && len(record) > 0: // of a message without data
			err = nil
		}
		n += m
		src = src[len(record):]
	}
	t.keepLocked(src)
	return n, err
}

// readOwnLocked is readRecordsLocked for a tls.Conn that reads by itself.
func (t *tlsLayer) readOwnLocked(src, dst []byte) (n int, err error) {
	t.in = src
	for err == nil {
		if t.unread = len(dst)-n < maxPlaintext; t.unread {
			break
		}
		var m int
		m, err = t.conn.Read(dst[n:])
		n += m
	}
	t.keepLocked(t.in)
	t.in = nil
	return n, err
}

// recordSize is the size of the record at the front of b, as far as it is there;
// 0 if it is not whole.
func recordSize(b []byte) int {
	if !wholeRecord(b) {
		return 0
	}
	return min(len(b), recordHeader+int(b[3])<<8+int(b[4]))
}

// wholeRecord reports whether b begins with a record that is all there, or one that
// is refused for its length.
func wholeRecord(b []byte) bool {
	if len(b) < recordHeader {
		return false
	}
	n := recordHeader + int(b[3])<<8 + int(b[4])
	return n <= len(b) || n > maxRecord
}
