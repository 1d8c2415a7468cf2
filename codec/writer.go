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

// AppendCompressedFrame is [AppendFrame] for the first frame of a message whose
// payload a [Deflater] made: RSV1 is set (RFC 7692 section 6). The frames after
// it, if any, are continuations from AppendFrame.
func AppendCompressedFrame(dst []byte, op OpCode, fin bool, payload []byte) []byte {
	dst = AppendHeader(dst, Header{OpCode: op, Fin: fin, Rsv1: true, Length: int64(len(payload))})
	return append(dst, payload...)
}

// AppendMaskedFrame appends one masked frame, as a client sends it, with a key
// from [NewMaskKey]. Otherwise it is [AppendFrame]. Any goroutine may call it.
func AppendMaskedFrame(dst []byte, op OpCode, fin bool, payload []byte) []byte {
	return appendMasked(dst, Header{OpCode: op, Fin: fin}, payload)
}

// AppendMaskedCompressedFrame is [AppendCompressedFrame] as a client sends it:
// masked like [AppendMaskedFrame].
func AppendMaskedCompressedFrame(dst []byte, op OpCode, fin bool, payload []byte) []byte {
	return appendMasked(dst, Header{OpCode: op, Fin: fin, Rsv1: true}, payload)
}

func appendMasked(dst []byte, h Header, payload []byte) []byte {
	h.Masked, h.Mask, h.Length = true, NewMaskKey(), int64(len(payload))
	dst = slices.Grow(dst, h.Size()+len(payload))
	dst = AppendHeader(dst, h)
	start := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[start:], h.Mask, 0)
	return dst
}
