package codec

import "encoding/binary"

// source gives out the bits of a compressed message (RFC 1951 section 3.1.1).
type source struct {
	in   []byte
	at   int    // bytes of in that are in bits, or were
	bits uint64 // the next ones, from the low bit up; zero past the end of in
	n    int    // how many of them are of in; negative once more were taken than there are
}

// consumed returns how many bytes were taken, those in part included.
func (s *source) consumed() int { return s.at - max(s.n, 0)/8 }

// fill makes at least 56 bits ready, or all that are left.
func (s *source) fill() {
	if len(s.in)-s.at >= 8 {
		s.bits |= binary.LittleEndian.Uint64(s.in[s.at:]) << s.n
		s.at += (63 - s.n) / 8
		s.n |= 56
		return
	}
	for s.n <= 56 && s.at < len(s.in) {
		s.bits |= uint64(s.in[s.at]) << s.n
		s.at++
		s.n += 8
	}
}

// take returns the next n bits, up to 16. What it returns past the end is not
// valid: n is negative then.
func (s *source) take(n int) int {
	if s.n < n {
		s.fill()
	}
	v := int(s.bits & (1<<n - 1))
	s.bits >>= n
	s.n -= n
	return v
}

// align drops what is left of the octet that was taken in part.
func (s *source) align() { s.take(s.n & 7) }

// rest gives back the octets that are ready, so that in[at:] is what follows.
// The bits must be aligned.
func (s *source) rest() {
	s.at -= s.n / 8
	s.bits, s.n = 0, 0
}
