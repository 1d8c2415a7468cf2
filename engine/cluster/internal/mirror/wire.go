package mirror

import (
	"encoding/binary"
	"errors"
)

// ID names a node from its start to its end.
type ID [8]byte

// version begins each message; one of another version is ignored.
const version = 1

// kind is what a message is.
type kind byte

const (
	kindBeat  kind = iota + 1 // I am here
	kindBye                   // I am not any more
	kindWant                  // tell me of a topic
	kindDelta                 // values that changed, and the sum of all behind them
	kindAsk                   // my copy of yours is another: the sums of its buckets
	kindPart                  // all values of some buckets
)

var errWire = errors.New("mirror: not a message of this version")

// message is any of them; which fields it has is written in encode.
type message struct {
	kind    kind
	from    ID
	soon    bool   // want: at once
	topic   string // ask, part
	seq     uint64 // delta, part
	sum     uint64 // delta, part: of all values
	n       int    // delta, part: of all values
	changes []change
	buckets int      // ask, part
	sums    []uint64 // ask: one for each bucket; none: of an empty copy
	covers  []int    // part: the buckets whose values are in changes
}

// change is a key with its value; gone if that is empty.
type change struct{ key, value string }

func (c change) size() int { return len(c.key) + len(c.value) + 4 }

func (m *message) encode() []byte {
	b := append([]byte{version, byte(m.kind)}, m.from[:]...)
	switch m.kind {
	case kindBeat, kindBye:
	case kindWant:
		b = append(b, bit(m.soon))
	case kindDelta:
		b = m.appendChanges(m.appendState(b))
	case kindAsk:
		b = appendString(b, m.topic)
		b = binary.AppendUvarint(b, uint64(m.buckets))
		b = binary.AppendUvarint(b, uint64(len(m.sums)))
		for _, sum := range m.sums {
			b = binary.BigEndian.AppendUint64(b, sum)
		}
	case kindPart:
		b = m.appendState(appendString(b, m.topic))
		b = binary.AppendUvarint(b, uint64(m.buckets))
		b = binary.AppendUvarint(b, uint64(len(m.covers)))
		for _, bucket := range m.covers {
			b = binary.AppendUvarint(b, uint64(bucket))
		}
		b = m.appendChanges(b)
	}
	return b
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func (m *message) appendState(b []byte) []byte {
	b = binary.AppendUvarint(b, m.seq)
	b = binary.BigEndian.AppendUint64(b, m.sum)
	return binary.AppendUvarint(b, uint64(m.n))
}

func (m *message) appendChanges(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.changes)))
	for _, c := range m.changes {
		b = appendString(appendString(b, c.key), c.value)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func decode(b []byte) (m message, err error) {
	r := reader{b: b}
	if r.byte() != version {
		return m, errWire
	}
	m.kind = kind(r.byte())
	copy(m.from[:], r.bytes(len(m.from)))
	switch m.kind {
	case kindBeat, kindBye:
	case kindWant:
		m.soon = r.byte() != 0
	case kindDelta:
		r.state(&m)
		r.changes(&m)
	case kindAsk:
		m.topic = r.string()
		m.buckets = r.buckets()
		for range r.count(8) {
			m.sums = append(m.sums, r.uint64())
		}
		r.bad = r.bad || len(m.sums) > 0 && len(m.sums) != m.buckets
	case kindPart:
		m.topic = r.string()
		r.state(&m)
		m.buckets = r.buckets()
		for range r.count(1) {
			m.covers = append(m.covers, int(r.uvarint()))
		}
		r.changes(&m)
	default:
		return m, errWire
	}
	if r.bad || len(r.b) > 0 {
		return m, errWire
	}
	return m, nil
}

// reader takes a message apart; bad is set where it ends early.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, min(n, 8))
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) byte() byte     { return r.bytes(1)[0] }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.bytes(8)) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count returns the number of elements that follow, each of at least size bytes.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

// buckets returns a number of buckets, which is a small power of two.
func (r *reader) buckets() int {
	n := r.uvarint()
	if n == 0 || n > 1024 || n&(n-1) != 0 {
		r.bad = true
		return 1
	}
	return int(n)
}

func (r *reader) string() string { return string(r.bytes(r.count(1))) }

func (r *reader) state(m *message) {
	m.seq, m.sum = r.uvarint(), r.uint64()
	m.n = int(min(r.uvarint(), 1<<31-1))
}

func (r *reader) changes(m *message) {
	for range r.count(2) {
		m.changes = append(m.changes, change{r.string(), r.string()})
	}
}
