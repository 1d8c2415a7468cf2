package codec

import "encoding/binary"

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsv2Bit = 0x20
	rsv3Bit = 0x10
	maskBit = 0x80

	length16 = 126 // the next two bytes are the length
	length64 = 127 // the next eight bytes are the length

	maxControlPayload = 125 // RFC 6455 section 5.5
)

// MaxHeaderSize is the size in bytes of the longest frame header (RFC 6455
// section 5.2).
const MaxHeaderSize = 14

// Header is a frame header (RFC 6455 section 5.2).
type Header struct {
	OpCode           OpCode
	Fin              bool
	Rsv1, Rsv2, Rsv3 bool
	Masked           bool
	Mask             [4]byte // the mask key; zero unless Masked
	Length           int64   // payload bytes, 0 to 2^63-1
}

// ParseHeader decodes the frame header at the front of b and says how many bytes
// it takes. n == 0 without an error means b is too short: keep it and call again
// with more.
//
// The error is a *ProtocolError with StatusProtocolError for a length that is
// not in its shortest form or has its highest bit set. It comes as soon as the
// length is there. The other rules need to know the connection and are checked
// by [Reader].
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return Header{}, 0, nil
	}
	n = 2
	length := uint64(b[1] &^ maskBit)
	switch length {
	case length16:
		if len(b) < 4 {
			return Header{}, 0, nil
		}
		n = 4
		length = uint64(binary.BigEndian.Uint16(b[2:]))
		if length < length16 {
			return Header{}, 0, errNonMinimalLength // §5.2
		}
	case length64:
		if len(b) < 10 {
			return Header{}, 0, nil
		}
		n = 10
		length = binary.BigEndian.Uint64(b[2:])
		switch {
		case length>>63 != 0:
			return Header{}, 0, errLengthBit63 // §5.2
		case length>>16 == 0:
			return Header{}, 0, errNonMinimalLength // §5.2
		}
	}
	if b[1]&maskBit != 0 {
		if len(b) < n+4 {
			return Header{}, 0, nil
		}
		h.Masked = true
		h.Mask = [4]byte(b[n:])
		n += 4
	}
	h.OpCode = OpCode(b[0] & 0x0f)
	h.Fin = b[0]&finBit != 0
	h.Rsv1 = b[0]&rsv1Bit != 0
	h.Rsv2 = b[0]&rsv2Bit != 0
	h.Rsv3 = b[0]&rsv3Bit != 0
	h.Length = int64(length)
	return h, n, nil
}

// AppendHeader appends h to dst in its shortest form and returns the longer
// slice. h is written as it stands: a negative Length or an OpCode over 0xF is a
// mistake of the caller.
func AppendHeader(dst []byte, h Header) []byte {
	if h.Length < length16 && !h.Masked {
		return append(dst, h.first(), byte(h.Length))
	}
	var b [MaxHeaderSize]byte
	return append(dst, b[:PutHeader(&b, h)]...)
}

// Size returns how many bytes h takes in its shortest form.
func (h Header) Size() int {
	n := 2
	switch {
	case h.Length > 0xffff:
		n = 10
	case h.Length >= length16:
		n = 4
	}
	if h.Masked {
		n += len(h.Mask)
	}
	return n
}

// first is the first byte of h.
func (h *Header) first() byte {
	b := byte(h.OpCode)
	if h.Fin {
		b |= finBit
	}
	if h.Rsv1 {
		b |= rsv1Bit
	}
	if h.Rsv2 {
		b |= rsv2Bit
	}
	if h.Rsv3 {
		b |= rsv3Bit
	}
	return b
}

// PutHeader writes h to the front of dst, as [AppendHeader] does, and returns
// its size in bytes.
func PutHeader(dst *[MaxHeaderSize]byte, h Header) int {
	dst[0] = h.first()
	n := 2
	switch {
	case h.Length < length16:
		dst[1] = byte(h.Length)
	case h.Length <= 0xffff:
		dst[1] = length16
		binary.BigEndian.PutUint16(dst[2:], uint16(h.Length))
		n = 4
	default:
		dst[1] = length64
		binary.BigEndian.PutUint64(dst[2:], uint64(h.Length))
		n = 10
	}
	if h.Masked {
		dst[1] |= maskBit
		n += copy(dst[n:], h.Mask[:])
	}
	return n
}
