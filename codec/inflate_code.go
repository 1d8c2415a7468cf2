package codec

import (
	"bytes"
	"math/bits"
)

const (
	maxCodeBits  = 15 // RFC 1951 §3.2.7
	maxLiterals  = 286
	maxDistances = 30
	fastBits     = 9 // codes up to this length are found in one step
)

// huffman decodes one canonical Huffman code (RFC 1951 section 3.2.2).
type huffman struct {
	fast    [1 << fastBits]uint16   // by the next bits: symbol<<4 | length, 0 if there is no such short code
	count   [maxCodeBits + 1]uint16 // codes of each length
	symbols [maxLiterals + 2]uint16 // in the order of their codes
}

// init makes h the code with these lengths, 0 standing for a symbol that is not
// used. It reports whether they are one: every sequence of bits has to be in it,
// except that a code may have one symbol of one bit, or none at all.
func (h *huffman) init(lengths []uint8) bool {
	clear(h.count[:])
	for _, n := range lengths {
		h.count[n]++
	}
	used := len(lengths) - int(h.count[0])
	h.count[0] = 0
	var nextCode, nextSymbol [maxCodeBits + 2]uint16
	left := 1
	for n := 1; n <= maxCodeBits; n++ {
		left = left<<1 - int(h.count[n])
		if left < 0 {
			return false
		}
		nextCode[n+1] = (nextCode[n] + h.count[n]) << 1
		nextSymbol[n+1] = nextSymbol[n] + h.count[n]
	}
	oneBit := used == 1 && h.count[1] == 1
	if left > 0 && used > 0 && !oneBit {
		return false
	}
	if left > 0 {
		clear(h.fast[:])
	}
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		h.symbols[nextSymbol[n]] = uint16(symbol)
		nextSymbol[n]++
		code := bits.Reverse16(nextCode[n]) >> (16 - n)
		nextCode[n]++
		if n > fastBits {
			h.fast[code&(1<<fastBits-1)] = 0
			continue
		}
		for ; code < 1<<fastBits; code += 1 << n {
			h.fast[code] = uint16(symbol)<<4 | uint16(n)
		}
	}
	return true
}

// decode returns the symbol at the front of b, which is read from the low bit
// up, and the length of its code, 0 if there is none.
func (h *huffman) decode(b uint64) (symbol uint16, n uint16) {
	if e := h.fast[b&(1<<fastBits-1)]; e != 0 {
		return e >> 4, e & 0xf
	}
	return h.decodeLong(b)
}

func (h *huffman) decodeLong(b uint64) (symbol uint16, n uint16) {
	var code, first, index int
	for n := 1; n <= maxCodeBits; n++ {
		code |= int(b & 1)
		b >>= 1
		count := int(h.count[n])
		if code-first < count {
			return h.symbols[index+code-first], uint16(n)
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0
}

// The fixed codes of RFC 1951 section 3.2.6.
var fixedLiterals, fixedDistances = func() (literals, distances *huffman) {
	literals, distances = new(huffman), new(huffman)
	literals.init(fixedLengths())
	distances.init(bytes.Repeat([]byte{5}, 32))
	return literals, distances
}()

// fixedLengths returns the lengths of the fixed code for literals and lengths.
func fixedLengths() []uint8 {
	lengths := bytes.Repeat([]byte{8}, maxLiterals+2)
	for i := 144; i < 256; i++ {
		lengths[i] = 9
	}
	for i := 256; i < 280; i++ {
		lengths[i] = 7
	}
	return lengths
}
