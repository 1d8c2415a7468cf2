package relay

import (
	"encoding/binary"
	"time"
)

// frame is what goes over the bus for one message: version, flags, node, number, age, key
// and data.
type frame struct {
	flags  byte
	node   uint64        // that published it
	number uint64        // of the message among those of the node in the topic
	age    time.Duration // of the message before this one; of a head, of the message itself
	key    string
	data   []byte
}

const version = 1

// What a frame may say.
const (
	flagBinary byte = 1 << iota
	flagRetain
	flagHead  // no message: the number of the last one
	flagFirst // the node has published nothing before, or forgotten it
	flagLast  // of a head: the node forgets the topic, so its next message has flagFirst
	flagsEnd
)

// has says whether a flag is set.
func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// append appends f to b.
func (f *frame) append(b []byte) []byte {
	b = append(b, version, f.flags)
	b = binary.BigEndian.AppendUint64(b, f.node)
	b = binary.AppendUvarint(b, f.number)
	b = binary.AppendUvarint(b, uint64(max(f.age, 0)/time.Millisecond))
	b = binary.AppendUvarint(b, uint64(len(f.key)))
	b = append(b, f.key...)
	return append(b, f.data...)
}

// parse is the inverse of append. The data is that of b. It returns false for what is no
// frame of this version.
func parse(b []byte) (f frame, ok bool) {
	if len(b) < 10 || b[0] != version || b[1] >= flagsEnd {
		return f, false
	}
	f.flags, f.node = b[1], binary.BigEndian.Uint64(b[2:])
	r := reader{b: b[10:]}
	f.number = r.uvarint()
	f.age = time.Duration(min(r.uvarint(), uint64(maxAge/time.Millisecond))) * time.Millisecond
	f.key = string(r.take(r.uvarint()))
	f.data = r.b
	return f, !r.short
}

// maxAge is more than any age that matters.
const maxAge = 1 << 30 * time.Millisecond

// reader takes a frame apart.
type reader struct {
	b     []byte
	short bool // it ended too soon
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.short = r.short || n <= 0
	r.b = r.b[max(n, 0):]
	return v
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.short = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
