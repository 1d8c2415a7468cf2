package loop

import "syscall"

// sealRoom is the room that n bytes of plaintext need as ciphertext: the records
// of a new connection are small, and each costs up to 85 bytes more.
func sealRoom(n int) int { return n + n/8 + 512 }

// sealable is the inverse: the plaintext whose ciphertext has room in n bytes.
func sealable(n int) int { return (n - 256) * 8 / 9 }

// maxSealed is how much one flush encrypts at most, so that neither its loop nor
// who waits for the connection waits long. The rest follows in the next event.
const maxSealed = 1 << 20

// minPiece is the least that is cut off a longer queue to fill a batch.
const minPiece = 4 << 10

// appendSealed adds ciphertext, which goes before all plaintext.
func (o *outbox) appendSealed(p []byte) {
	if o.sealed.chunk == nil {
		ch := getChunk(len(p))
		o.sealed = segment{b: ch.b, chunk: ch}
	}
	o.sealed.b = append(o.sealed.b, p...)
	o.size += len(p)
}

// releaseSealed gives back the buffer of ciphertext, and what is in it.
func (o *outbox) releaseSealed() {
	o.size -= len(o.sealed.b)
	o.sealed.release()
	o.sealed = segment{}
}

// shrinkSealed moves ciphertext that has to wait to a buffer of its size.
func (o *outbox) shrinkSealed() {
	s := o.sealed
	if s.chunk == nil || !s.chunk.roomyFor(len(s.b)) {
		return
	}
	ch := getChunk(len(s.b))
	o.sealed = segment{b: append(ch.b, s.b...), chunk: ch}
	putChunk(s.chunk)
}

// flushSealedLocked is flushLocked for an encrypted connection. body is encrypted
// from where it is.
func (c *Conn) flushSealedLocked(head, body []byte) (sent int) {
	total := len(head) + len(body)
	if total > 0 {
		o := c.queueLocked()
		o.append(head)
		o.borrow(body)
	}
	c.sendSealedLocked()
	if c.out != nil {
		return total - len(c.out.unborrow())
	}
	return total
}

// sendSealedLocked sends ciphertext until the socket takes no more, and encrypts
// more of the queue whenever none is left.
func (c *Conn) sendSealedLocked() {
	t := c.tls
	for sent := 0; ; {
		o := c.out
		if sent >= maxSealed && o.size > 0 {
			c.blockedLocked()
			if edgeTriggered {
				_ = c.loop.poller.mod(int(c.fd), c.want, c.want) // it may have been writable all the time
			}
			return
		}
		if len(o.sealed.b) == 0 {
			switch {
			case o.size == 0 || t.state == tlsFailed:
				c.loseLocked()
				c.updateInterestLocked()
				return
			case t.shaking():
				o.releaseSealed()
				c.holdLocked()
				return
			case !t.sealLocked(o):
				c.failLocked(syscall.EPROTO)
				return
			}
		}
		n, err := send(int(c.fd), o.sealed.b[:min(len(o.sealed.b), maxSend)])
		switch {
		case err == syscall.EAGAIN:
			o.shrinkSealed()
			c.blockedLocked()
			return
		case err != nil:
			c.failLocked(errnoOf(err))
			return
		}
		c.loop.bytesOut.Add(uint64(n))
		o.sealed.b = o.sealed.b[n:]
		o.size -= n
		o.sent += n
		sent += n
	}
}

// holdLocked keeps what is queued until the handshake is over.
func (c *Conn) holdLocked() {
	if c.out == c.loop.cork {
		c.keepLocked()
	}
	c.updateInterestLocked()
	c.tallyLocked()
}

// sealLocked encrypts the oldest bytes of o, as many as a buffer takes; false if
// they cannot be.
func (t *tlsLayer) sealLocked(o *outbox) bool {
	if ch := o.sealed.chunk; ch != nil && cap(ch.b) < min(sealRoom(o.size), maxChunk) {
		o.releaseSealed()
	}
	if o.sealed.chunk == nil {
		o.sealed.chunk = getChunk(sealRoom(o.size))
	}
	batch := o.sealed.chunk.b
	o.sealed.b = batch
	for o.first < len(o.segs) {
		left := o.size - len(o.sealed.b)
		n := min(left, maxPlaintext, sealable(cap(batch)-len(o.sealed.b)))
		if n < min(left, minPiece) {
			break
		}
		p, scratch := o.piece(n)
		_, err := t.conn.Write(p)
		if scratch != nil {
			putChunk(scratch)
		}
		if err != nil {
			return false
		}
		o.consume(n)
	}
	return true
}

// piece returns the oldest n bytes of plaintext in one run, in scratch if they
// are queued in several.
func (o *outbox) piece(n int) (p []byte, scratch *chunk) {
	if s := o.segs[o.first]; len(s.b) >= n {
		return s.b[:n], nil
	}
	scratch = getChunk(n)
	p = scratch.b
	for _, s := range o.segs[o.first:] {
		p = append(p, s.b[:min(len(s.b), n-len(p))]...)
		if len(p) == n {
			break
		}
	}
	return p, scratch
}
