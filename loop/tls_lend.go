package loop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// A tls.Conn copies what it reads to a buffer of its own, which grows to the
// largest record and stays. Here the loop lends it its own buffer for each read
// and takes it back, so an idle connection has none and reading allocates
// nothing. This looks behind the API of crypto/tls. Where the fields are not what
// they were, or reads do not go by them, tls.Conn reads by itself: it costs more,
// and works the same.
//
// What is lent is never more than one record. Behind the last one a tls.Conn
// looks for an alert, and through a warning of TLS 1.2 for what follows, which it
// would decrypt in place and keep: in a buffer that the next connection uses.

var (
	rawInputAt, hasRawInput = fieldAt[bytes.Buffer]("rawInput") // ciphertext, a record first
	handAt, hasHand         = fieldAt[bytes.Buffer]("hand")     // handshake messages
	inputAt, hasInput       = fieldAt[bytes.Reader]("input")    // plaintext, in rawInput's memory
	lending                 atomic.Bool
)

var errHoldsLent = errors.New("crypto/tls keeps what it was lent")

func init() { lending.Store(hasRawInput && hasHand && hasInput) }

// fieldAt returns where a tls.Conn has a field of that name and type.
func fieldAt[T any](name string) (offset uintptr, ok bool) {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	return f.Offset, ok && f.Type == reflect.TypeFor[T]()
}

func fieldOf(conn *tls.Conn, offset uintptr) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), offset))
}

// lender returns the buffer of t.conn that takes what is lent; nil if nothing is.
func (t *tlsLayer) lender() *bytes.Buffer {
	raw := fieldOf(t.conn, rawInputAt)
	if !lending.Load() || raw.Len() > 0 {
		return nil
	}
	return raw
}

// holdsPlaintext reports whether t.conn has decrypted more than it gave out.
func (t *tlsLayer) holdsPlaintext() bool {
	return (*bytes.Reader)(unsafe.Add(unsafe.Pointer(t.conn), inputAt)).Len() > 0
}

// takeBackLocked leaves t.conn no buffers.
func (t *tlsLayer) takeBackLocked(raw *bytes.Buffer) {
	*raw = bytes.Buffer{}
	if hand := fieldOf(t.conn, handAt); hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
}

// takeOverLocked prepares t.conn, whose handshake is over, for the loop. in
// follows what t.conn has read.
func (t *tlsLayer) takeOverLocked(in []byte) {
	t.unread = true
	if !lending.Load() {
		t.kept = segment{b: in}
		return
	}
	raw := fieldOf(t.conn, rawInputAt)
	t.keepLocked(append(bytes.Clone(raw.Bytes()), in...))
	*raw = bytes.Buffer{}
}
