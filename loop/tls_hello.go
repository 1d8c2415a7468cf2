package loop

import (
	"container/list"
	"crypto/tls"
	"fmt"
	"sync"
)

// A server's handshake begins when its ClientHello is whole: until then it has
// no goroutine and no place, and costs the bytes that arrived.

const (
	recordTypeHandshake = 22
	handshakeHeader     = 4
	maxClientHello      = 64 << 10 // of crypto/tls, which refuses longer ones by their header
	maxHellos           = 64 << 20 // bytes that the handshakes of a group hold before they run
)

var errTooManyHellos = fmt.Errorf("%w: the ClientHellos that wait take more than 64 MiB, and this one has waited longest", ErrHandshakeShed)

// helloScanner finds the end of the first handshake message in a stream of TLS
// records (RFC 8446 section 5.1).
type helloScanner struct {
	record int // where the first record begins that is not scanned
	size   int // bytes of handshake messages in the records before it
	head   [handshakeHeader]byte
}

// scan looks at b, the stream so far. whole says that crypto/tls can decide about
// it without more: the message is there, or a header that it refuses. The error
// is that of crypto/tls for a record that begins no handshake.
func (s *helloScanner) scan(b []byte) (whole bool, err error) {
	for !s.done() {
		r := b[s.record:]
		switch {
		case len(r) == 0:
			return false, nil
		case r[0] != recordTypeHandshake || len(r) >= 2 && r[1] >= 0x10: // no version is that high
			return false, notTLS(r)
		case len(r) < recordHeader:
			return false, nil
		}
		n := int(r[3])<<8 | int(r[4])
		if n == 0 || n > maxRecord-recordHeader {
			return true, nil
		}
		if len(r) < recordHeader+n {
			return false, nil
		}
		if s.size < handshakeHeader {
			copy(s.head[s.size:], r[recordHeader:recordHeader+n])
		}
		s.size += n
		s.record += recordHeader + n
	}
	return true, nil
}

// done reports whether the message ends in what was scanned, or is too long.
func (s *helloScanner) done() bool {
	if s.size < handshakeHeader {
		return false
	}
	n := int(s.head[1])<<16 | int(s.head[2])<<8 | int(s.head[3])
	return s.size >= handshakeHeader+n || n > maxClientHello
}

func notTLS(record []byte) error {
	err := tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}
	copy(err.RecordHeader[:], record)
	return err
}

// takeInLocked takes bytes that arrived for the handshake. It asks for a place
// when they are enough to begin with.
func (t *tlsLayer) takeInLocked(b []byte) error {
	h := t.handshake
	h.in = append(h.in, b...)
	switch t.state {
	case tlsHello:
		whole, err := h.hello.scan(h.in)
		switch {
		case err != nil:
			return err
		case whole:
			t.admitLocked()
		case len(h.in) > maxHandshake:
			return errHandshakeTooLarge
		}
	case tlsShaking:
		h.more.Broadcast()
	}
	if t.state < tlsShaking {
		t.c.loop.group.hellos.hold(h, cap(h.in))
	}
	t.tallyLocked()
	t.c.updateInterestLocked()
	return nil
}

// hellos bounds what the handshakes of a group hold that have not begun.
type hellos struct {
	limit int // in bytes; immutable

	mu   sync.Mutex
	held int
	list list.List // of *tlsHandshake, the one that has waited longest first
}

// helloHeld is what a handshake holds before it begins. Guarded by the mutex of
// hellos.
type helloHeld struct {
	size int
	spot *list.Element // in hellos.list; nil: it is not counted
}

// hold notes that h holds n bytes. Beyond the limit, those that have waited
// longest are ended: a client that means it sends its ClientHello in one go.
func (hs *hellos) hold(h *tlsHandshake, n int) {
	held := &h.held
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if n == held.size {
		return
	}
	if held.spot == nil {
		held.spot = hs.list.PushBack(h)
	}
	hs.held += n - held.size
	held.size = n
	for hs.held > hs.limit {
		first := hs.list.Front().Value.(*tlsHandshake)
		hs.releaseLocked(first)
		_ = first.layer.c.loop.post(mail{fn: func() { first.layer.handshakeFailed(errTooManyHellos) }}) // ended: so has the connection
	}
}

// release forgets what h holds.
func (hs *hellos) release(h *tlsHandshake) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.releaseLocked(h)
}

func (hs *hellos) releaseLocked(h *tlsHandshake) {
	held := &h.held
	if held.spot == nil {
		return
	}
	hs.list.Remove(held.spot)
	hs.held -= held.size
	*held = helloHeld{}
}
