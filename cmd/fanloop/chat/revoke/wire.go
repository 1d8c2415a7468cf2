package revoke

import (
	"bytes"
	"encoding/binary"
	"time"
)

// A message on the bus is a version, a kind and the sender, and what the kind has:
//
//	beat     the sum of all entries, the name of the node
//	sheet    to whom, and the sums of all buckets
//	entries  a number to confirm (0: none), and entries: kind, before, milliseconds that
//	         are left, the name with its length
//	ack      to whom, and the number
//	bye      nothing
//
// Times that are left are sent, not ends: clocks of nodes differ.
const wireVersion = 1

type messageKind uint8

const (
	messageBeat messageKind = 1 + iota
	messageSheet
	messageEntries
	messageAck
	messageBye
)

const (
	maxMessage    = 32 << 10 // bytes of entries in one message
	entryOverhead = 24       // of an entry, besides its name, at most
)

// message is a decoded one.
type message struct {
	kind    messageKind
	from    nodeID
	to      nodeID
	sum     uint64
	name    string
	sums    *[buckets]uint64
	ack     uint64
	entries []*entry
}

func begin(kind messageKind, from nodeID) []byte {
	return append([]byte{wireVersion, byte(kind)}, from[:]...)
}

func encodeBye(from nodeID) []byte { return begin(messageBye, from) }

func encodeBeat(from nodeID, sum uint64, name string) []byte {
	return append(binary.BigEndian.AppendUint64(begin(messageBeat, from), sum), name...)
}

func encodeSheet(from, to nodeID, sums *[buckets]uint64) []byte {
	b := append(begin(messageSheet, from), to[:]...)
	for _, s := range sums {
		b = binary.BigEndian.AppendUint64(b, s)
	}
	return b
}

func encodeAck(from, to nodeID, ack uint64) []byte {
	return binary.BigEndian.AppendUint64(append(begin(messageAck, from), to[:]...), ack)
}

func encodeEntries(from nodeID, ack uint64, entries []*entry) []byte {
	b := binary.AppendUvarint(begin(messageEntries, from), ack)
	for _, e := range entries {
		b = append(b, byte(e.kind))
		b = binary.AppendVarint(b, e.before)
		b = binary.AppendUvarint(b, uint64(max(0, time.Until(e.ends)/time.Millisecond)))
		b = binary.AppendUvarint(b, uint64(len(e.name)))
		b = append(b, e.name...)
	}
	return b
}

// sumOf is the sum of all buckets, each with its place.
func sumOf(sums *[buckets]uint64) (sum uint64) {
	for i, s := range sums {
		sum = sum*0x9e3779b97f4a7c15 + s + uint64(i)
	}
	return sum
}

// decode reads a message. ok is false for one that this version does not have.
func decode(data []byte) (m message, ok bool) {
	if len(data) < 2+len(m.from) || data[0] != wireVersion {
		return m, false
	}
	m.kind = messageKind(data[1])
	rest := data[2+copy(m.from[:], data[2:]):]
	switch m.kind {
	case messageBye:
		return m, len(rest) == 0
	case messageBeat:
		if len(rest) < 8 {
			return m, false
		}
		m.sum, m.name = binary.BigEndian.Uint64(rest), string(rest[8:])
	case messageSheet:
		if len(rest) != len(m.to)+8*buckets {
			return m, false
		}
		rest = rest[copy(m.to[:], rest):]
		m.sums = new([buckets]uint64)
		for i := range m.sums {
			m.sums[i] = binary.BigEndian.Uint64(rest[8*i:])
		}
	case messageAck:
		if len(rest) != len(m.to)+8 {
			return m, false
		}
		m.ack = binary.BigEndian.Uint64(rest[copy(m.to[:], rest):])
	case messageEntries:
		return m, m.decodeEntries(rest)
	default:
		return m, false
	}
	return m, true
}

func (m *message) decodeEntries(data []byte) bool {
	r := bytes.NewReader(data)
	ack, err := binary.ReadUvarint(r)
	if err != nil {
		return false
	}
	m.ack = ack
	now := time.Now()
	for r.Len() > 0 {
		kind, _ := r.ReadByte()
		before, err1 := binary.ReadVarint(r)
		left, err2 := binary.ReadUvarint(r)
		size, err3 := binary.ReadUvarint(r)
		if err1 != nil || err2 != nil || err3 != nil || kind == 0 || Kind(kind) >= afterLastKind ||
			size == 0 || size > MaxName || size > uint64(r.Len()) || left > 1<<40 {
			return false
		}
		name := make([]byte, size)
		_, _ = r.Read(name)
		m.entries = append(m.entries, &entry{
			place{Kind(kind), string(name)}, before, now.Add(time.Duration(left) * time.Millisecond),
		})
	}
	return true
}
