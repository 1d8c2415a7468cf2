package load

import "encoding/binary"

// The first byte of a message says what the server does with it.
const (
	kindEcho    = 'E' // send it back
	kindPublish = 'B' // send it to every connected client
)

const (
	stampSize = 16
	timeBits  = 52
	timeMask  = 1<<timeBits - 1
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

// readStamp reads the stamp of p, which holds stampSize bytes or more; ok is
// false if it is damaged.
func readStamp(p []byte) (s stamp, ok bool) {
	lo, hi := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	s = stamp{kind: byte(lo), from: uint32(lo>>8) & (maxConns - 1), seq: uint32(lo >> 32), at: int64(hi & timeMask)}
	return s, hi>>timeBits == checksum(lo, hi&timeMask)
}

// since is the time from the stamp to now; the clock of stamps is cut to its
// low bits.
func (s stamp) since(now int64) int64 { return (now - s.at) & timeMask }

// template is a message without its stamp, as it is sent and as it comes back.
type template struct {
	frame []byte // masked, header included
	at    int    // where the payload begins
	want  []byte // the payload
	mask  uint64 // the mask key, twice
}

// put stamps the frame.
func (t *template) put(s stamp) {
	lo, hi := s.words()
	binary.LittleEndian.PutUint64(t.frame[t.at:], lo^t.mask)
	binary.LittleEndian.PutUint64(t.frame[t.at+8:], hi^t.mask)
}
