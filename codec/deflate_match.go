package codec

import (
	"encoding/binary"
	"math/bits"
)

const (
	minMatch  = 4
	maxLength = 258 // RFC 1951 §3.2.5

	learnEvery = 2

	skipShift = 6 // the longer nothing matched, the fewer places are tried
)

// token is a literal, or a match with length and distance.
type token uint32

const isMatch token = 1 << 31

func matchToken(length, distance int) token {
	return isMatch | token(length-3)<<16 | token(distance-1)
}

func (t token) lengthLess3() uint32   { return uint32(t>>16) & 0xff }
func (t token) distanceLess1() uint32 { return uint32(t) & 0xffff }

func hash4(v uint32) uint32 { return v * 2654435761 >> (32 - hashBits) }

func load4(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// learn enters the places of b, which stands before a message.
func (d *Deflater) learn(b []byte) {
	for i := 0; i+minMatch <= len(b); i += learnEvery {
		d.places[hash4(load4(b, i))] = d.base + int64(i)
	}
}

// match makes tokens of b[from:]. It finds the last place of each four bytes
// since the message began.
func (d *Deflater) match(b []byte, from int) {
	literals := from // those before it have tokens
	for at := from; at+minMatch <= len(b); {
		v := load4(b, at)
		place := &d.places[hash4(v)]
		source := int(max(*place-d.base, -1))
		*place = d.base + int64(at)
		if source < 0 || at-source > d.reach || load4(b, source) != v {
			at += 1 + (at-literals)>>skipShift
			continue
		}
		for at > literals && source > 0 && b[at-1] == b[source-1] {
			at--
			source--
		}
		length := minMatch + matching(b[at+minMatch:], b[source+minMatch:])
		d.addLiterals(b[literals:at])
		for literals = at + length; at < literals; {
			n := min(literals-at, maxLength)
			if left := literals - at - n; left > 0 && left < 3 {
				n -= 3 // what is left has to be a match too
			}
			d.tokens = append(d.tokens, matchToken(n, at-source))
			at += n
			source += n
		}
		if at+minMatch <= len(b) {
			for i := at - 2; i < at; i++ {
				d.places[hash4(load4(b, i))] = d.base + int64(i)
			}
		}
	}
	d.addLiterals(b[literals:])
}

func (d *Deflater) addLiterals(b []byte) {
	for _, c := range b {
		d.tokens = append(d.tokens, token(c))
	}
}

// matching returns how many bytes a and b have in common at their front.
func matching(a, b []byte) int {
	n := 0
	for ; len(a)-n >= 8 && len(b)-n >= 8; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
