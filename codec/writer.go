package codec

import (
	"slices"

	"github.com/gobwas/ws"
)

// AppendFrame appends one unmasked frame, as a server sends it, to dst and
// returns the longer slice. fin marks the last frame of a message; a control
// frame has fin set and at most 125 bytes (RFC 6455 section 5.5), which is for
// the caller to see to. payload is copied and not changed. Nothing is allocated
// when dst has room.
func AppendFrame(dst []byte, op OpCode, fin bool, payload []byte) []byte {
	dst = AppendHeader(dst, Header{OpCode: op, Fin: fin, Length: int64(len(payload))})
	return append(dst, payload...)
}

// AppendMaskedFrame appends one masked frame, as a client sends it, with a key
// from [NewMaskKey]. Otherwise it is [AppendFrame]. Any goroutine may call it.
func AppendMaskedFrame(dst []byte, op OpCode, fin bool, payload []byte) []byte {
	h := Header{OpCode: op, Fin: fin, Masked: true, Mask: NewMaskKey(), Length: int64(len(payload))}
	dst = slices.Grow(dst, MaxHeaderSize+len(payload))
	dst = AppendHeader(dst, h)
	start := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[start:], h.Mask, 0)
	return dst
}
