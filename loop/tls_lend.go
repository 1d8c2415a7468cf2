package loop

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// A tls.Conn copies what it reads to a buffer of its own, which grows to the
// largest record and stays. Here the loop lends it its own buffer for each read
// and takes it back, so an idle connection has none and reading allocates
// nothing. This looks behind the API of crypto/tls. Where the two fields are not
// what they were, or reads do not go by them, tls.Conn reads by itself: it costs
// more, and works the same.

var (
	rawInputAt, hasRawInput = bufferField("rawInput") // ciphertext, a record first
	handAt, hasHand         = bufferField("hand")     // handshake messages
	lending                 atomic.Bool
)

func init() { lending.Store(hasRawInput && hasHand) }

// bufferField returns where a tls.Conn has a bytes.Buffer of that name.
func bufferField(name string) (offset uintptr, ok bool) {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	return f.Offset, ok && f.Type == reflect.TypeFor[bytes.Buffer]()
}

func fieldOf(conn *tls.Conn, offset uintptr) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), offset))
}

// lend makes src what t.conn reads next. It returns the buffer that is lent; nil
// if none is.
func (t *tlsLayer) lend(src []byte) *bytes.Buffer {
	if !lending.Load() || fieldOf(t.conn, rawInputAt).Len() > 0 {
		t.in = src
		return nil
	}
	raw := fieldOf(t.conn, rawInputAt)
	*raw = *bytes.NewBuffer(src[:len(src):len(src)])
	return raw
}

// stopLending is for a tls.Conn that does not look at what is lent.
func (t *tlsLayer) stopLending(raw *bytes.Buffer) *bytes.Buffer {
	lending.Store(false)
	t.in = raw.Bytes()
	*raw = bytes.Buffer{}
	return nil
}

// takeBackLocked keeps what t.conn did not read, and leaves it no buffers.
func (t *tlsLayer) takeBackLocked(raw *bytes.Buffer) {
	if raw == nil {
		t.keepLocked(t.in)
		t.in = nil
		return
	}
	t.keepLocked(raw.Bytes())
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
	t.kept = segment{b: append(bytes.Clone(raw.Bytes()), in...)}
	*raw = bytes.Buffer{}
}
