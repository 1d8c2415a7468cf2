package interop

import (
	"bytes"
	"math/rand/v2"
	"strings"

	gobwas "github.com/gobwas/ws"

	"github.com/fanloop-go/fanloop/codec"
)

// Bits of the first two bytes of a frame, and the lengths that say that the length
// follows (RFC 6455 section 5.2).
const (
	finBit, rsv1Bit, rsv2Bit, rsv3Bit = 0x80, 0x40, 0x20, 0x10
	maskBit                           = 0x80
	length16, length64                = 126, 127
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frameOf returns a frame as a client sends it. Further bits of the first byte,
// RSV1 to RSV3 or a missing FIN, are given with op.
func frameOf(first byte, payload string) []byte {
	h := codec.Header{
		OpCode: codec.OpCode(first & 0xf),
		Fin:    first&finBit != 0, Rsv1: first&rsv1Bit != 0, Rsv2: first&rsv2Bit != 0, Rsv3: first&rsv3Bit != 0,
		Masked: true, Mask: testKey, Length: int64(len(payload)),
	}
	b := codec.AppendHeader(nil, h)
	n := len(b)
	b = append(b, payload...)
	gobwas.Cipher(b[n:], h.Mask, 0)
	return b
}

// streamOf turns a script into a stream of frames that are mostly well-formed,
// with each rule broken now and then. It never ends inside of a header.
func streamOf(script []byte) []byte {
	var stream []byte
	for len(script) >= 3 {
		h := codec.Header{
			OpCode: codec.OpCode(script[0] & 0xf), Fin: script[0]&finBit != 0,
			Rsv1: script[0]&rsv1Bit != 0, Rsv2: script[0]&rsv2Bit != 0, Rsv3: script[0]&rsv3Bit != 0,
			Masked: script[1]&0xf != 0xf, Mask: testKey,
		}
		shape, size := script[1]>>4, int(script[2])
		script = script[3:]
		payload := bytes.Clone(script[:min(size, len(script))])
		script = script[len(payload):]
		if size >= 250 {
			payload = bytes.Repeat(payload, 3)
		}
		h.Length = int64(len(payload))
		var length []byte
		switch shape {
		case 11:
			h.Length++
		case 12:
			h.Length = 1<<63 - 1
		case 13:
			length = []byte{length16, 0, byte(len(payload))}
		case 14:
			length = []byte{length64, 0, 0, 0, 0, 0, 0, 0, byte(len(payload))}
		case 15:
			length = []byte{length64, 0x80, 0, 0, 0, 0, 0, 0, byte(len(payload))}
		}
		header := codec.AppendHeader(nil, h)
		if length != nil {
			header = append(header[:1], length...)
			if h.Masked {
				header[1] |= maskBit
				header = append(header, h.Mask[:]...)
			}
		}
		if h.Masked {
			gobwas.Cipher(payload, h.Mask, 0)
		}
		stream = append(append(stream, header...), payload...)
	}
	return stream
}

// randomScript writes a script for streamOf of a few frames.
func randomScript(rng *rand.Rand) []byte {
	texts := []string{"", "a", "hello", "aé€😀", "é", "\xe2\x82", "\xac", "\xf0\x9f", "\x98\x80", "\xed\xa0\x80", strings.Repeat("long ", 50)}
	inMessage := false
	var script []byte
	for range 1 + rng.IntN(12) {
		first := []byte{0x81, 0x82, 0x01, 0x02, 0x89, 0x8a, 0xc1}[rng.IntN(7)]
		switch roll := rng.IntN(40); {
		case roll == 0:
			first = byte(rng.Uint32())
		case roll == 1:
			first = 0x88
		case inMessage && roll < 30:
			first = []byte{0x00, 0x00, 0x80, 0x89}[rng.IntN(4)]
		}
		if first&0x8 == 0 {
			inMessage = first&finBit == 0
		}
		var shape byte
		if rng.IntN(30) == 0 {
			shape = byte(rng.Uint32())
		}
		payload := texts[rng.IntN(len(texts))]
		if first&0x8 != 0 {
			payload = texts[rng.IntN(4)]
		}
		script = append(script, first, shape, byte(len(payload)))
		script = append(script, payload...)
	}
	return script
}
