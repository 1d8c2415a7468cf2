package fanout

import "github.com/fanloop-go/fanloop/engine/internal/frames"

// Message is one publish, as parts keep it. Set the exported fields.
type Message struct {
	Frames   *frames.Frames
	Key      string // "": none
	Tag      any    // that of a Gap which begins with the message; nil: none
	KeyApart bool   // the key is not counted with Frames, which other messages have too

	counted bool   // in a part, and in the ledger
	number  uint64 // in the order of the fan
}

// weight is what counts for limits while a message waits: its frame, its key, and
// what keeping it takes.
func (m *Message) weight() int { return m.Frames.Size() + len(m.Key) + messageOverhead }

// ownKey is what the key takes if it is not counted with the frames.
func (m *Message) ownKey() int {
	if m.KeyApart {
		return len(m.Key)
	}
	return 0
}

// messageOverhead is what a message that waits takes besides its frame and its key,
// about: the message, its frames, and what is unused of their memory.
const messageOverhead = 100
