package load

import (
	"encoding/base64"
	"encoding/binary"
)

// The first byte of a message says what the server does with it.
const (
	kindEcho    = 'E' // send it back
	kindPublish = 'B' // send it to every connected client
)

const (
	stampSize = 16
	timeBits  = 52
	timeMask  = 1<<timeBits - 1

	// In text, the bytes behind the first are in base64, and JSON begins.
	textStampSize = 24
	textStampEnd  = ": {"
)

// stamp opens every payload: who sent it, its place in the sender's order and
// the time, in nanoseconds, at which it was to leave. The time and a checksum
// share the second word, so that damage to any bit of a stamp shows.
type stamp struct {
	kind byte
	from uint32 // 24 bits
	seq  uint32
	at   int64 // 52 bits
}

func (s stamp) words() (lo, hi uint64) {
	lo = uint64(s.kind) | uint64(s.from)<<8 | uint64(s.seq)<<32
	at := uint64(s.at) & timeMask
	return lo, at | checksum(lo, at)<<timeBits
}

func checksum(lo, at uint64) uint64 {
	x := lo ^ at*0x9e3779b97f4a7c15
	x ^= x >> 29
	return x * 0xbf58476d1ce4e5b9 >> timeBits
}

// text writes s as plain ASCII.
func (s stamp) text(b *[textStampSize]byte) {
	var raw [stampSize]byte
	lo, hi := s.words()
	binary.LittleEndian.PutUint64(raw[:], lo)
	binary.LittleEndian.PutUint64(raw[8:], hi)
	b[0] = s.kind
	base64.RawURLEncoding.Encode(b[1:], raw[1:])
	copy(b[textStampSize-len(textStampEnd):], textStampEnd)
}

// readStamp reads the stamp of p, which holds stampSize bytes or more; ok is
// false if it is damaged.
func readStamp(p []byte) (s stamp, ok bool) {
	lo, hi := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	s = stamp{kind: byte(lo), from: uint32(lo>>8) & (maxConns - 1), seq: uint32(lo >> 32), at: int64(hi & timeMask)}
	return s, hi>>timeBits == checksum(lo, hi&timeMask)
}

// readTextStamp is readStamp for text, of textStampSize bytes or more.
func readTextStamp(p []byte) (s stamp, ok bool) {
	var raw [stampSize]byte
	raw[0] = p[0]
	end := textStampSize - len(textStampEnd)
	n, err := base64.RawURLEncoding.Decode(raw[1:], p[1:end])
	if err != nil || 1+n != stampSize || string(p[end:textStampSize]) != textStampEnd {
		return stamp{}, false
	}
	return readStamp(raw[:])
}

// since is the time from the stamp to now; the clock of stamps is cut to its
// low bits.
func (s stamp) since(now int64) int64 { return (now - s.at) & timeMask }
