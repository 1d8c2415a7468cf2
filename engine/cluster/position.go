package cluster

import "time"

// Position is a place in a topic: behind the message with this offset and id.
// It is one value: keep and replace it as a whole. Clients bring it back to go on
// from there, on any node.
//
// With an empty ID it is the position in a topic that has no message up to
// Offset. The zero Position is no place.
type Position struct {
	Epoch  string // the life of the store; a new one after the old one is gone
	Offset uint64 // of the message; grows within a topic, with holes
	ID     string // of the message
}

// IsZero reports whether p is no place at all.
func (p Position) IsZero() bool { return p == Position{} }

// Message is one message of a topic, in the order that its history has.
type Message struct {
	Topic  string
	Epoch  string
	Offset uint64
	Prev   uint64 // offset of the topic's message before it; 0: none is kept, or unknown
	ID     string
	Time   time.Time // when it was stored
	Data   []byte    // shared by all who get the message: do not change it
}

// Position is the one behind m.
func (m *Message) Position() Position {
	return Position{Epoch: m.Epoch, Offset: m.Offset, ID: m.ID}
}

// overhead is what a message costs besides its bytes, about.
const overhead = 128

func (m *Message) size() int { return len(m.Data) + len(m.ID) + overhead }

// Budget bounds an answer or a store, in messages and in bytes. One message is
// within every budget, however large. Each message counts as 128 bytes more than
// its data and id.
type Budget struct {
	Messages int
	Bytes    int
}

// or returns b with what is not set taken from other.
func (b Budget) or(other Budget) Budget {
	if b.Messages <= 0 {
		b.Messages = other.Messages
	}
	if b.Bytes <= 0 {
		b.Bytes = other.Bytes
	}
	return b
}

// Take returns the first messages of ms that are within the budget.
func (b Budget) Take(ms []Message) []Message {
	bytes := 0
	for i := range ms {
		bytes += ms[i].size()
		if i > 0 && (i >= b.Messages || bytes > b.Bytes) {
			return ms[:i]
		}
	}
	return ms
}

// TakeLast returns the last messages of ms that are within the budget.
func (b Budget) TakeLast(ms []Message) []Message {
	bytes := 0
	for i := len(ms) - 1; i >= 0; i-- {
		bytes += ms[i].size()
		if taken := len(ms) - 1 - i; taken > 0 && (taken >= b.Messages || bytes > b.Bytes) {
			return ms[i+1:]
		}
	}
	return ms
}
