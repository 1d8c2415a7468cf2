package loop

import "unsafe"

const (
	// tlsSize is about what crypto/tls and this package hold for an idle
	// connection; certificates of the peer and the like come on top.
	tlsSize = 3200
	// shakingSize is about what a handshake under way takes: its goroutine, and
	// what crypto/tls keeps for it.
	shakingSize = 20 << 10
	// helloSize is what one takes that has not begun, besides the ClientHello.
	helloSize = int(unsafe.Sizeof(tlsLayer{}) + unsafe.Sizeof(tlsHandshake{}))
)

// tlsLoad is what a tlsLayer holds.
type tlsLoad struct {
	handshake int // for a handshake that is not over
	received  int // ciphertext that is not decrypted
	idle      int // as long as the connection lives
}

// load returns what t holds. Under the mutex of the connection.
func (t *tlsLayer) load() tlsLoad {
	switch t.state {
	case tlsHello, tlsQueued:
		return tlsLoad{handshake: helloSize + cap(t.handshake.in)}
	case tlsShaking:
		return tlsLoad{handshake: shakingSize + cap(t.handshake.in)}
	case tlsAborted:
		return tlsLoad{}
	}
	received := cap(t.kept.b)
	if t.kept.chunk != nil {
		received = cap(t.kept.chunk.b)
	}
	return tlsLoad{received: received, idle: tlsSize}
}

// tallyLocked counts what t holds. It follows whatever changes that.
func (t *tlsLayer) tallyLocked() { t.countLocked(t.load()) }

// countLocked counts now as what t holds.
func (t *tlsLayer) countLocked(now tlsLoad) {
	was, l := t.tallied, t.c.loop
	if now == was {
		return
	}
	t.tallied = now
	l.Hold(UseHandshakes, now.handshake-was.handshake)
	l.Hold(UseReceived, now.received-was.received)
	l.ledger.tls.Add(int64(now.idle - was.idle))
}
