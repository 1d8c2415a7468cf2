package engine

import (
	"unsafe"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// Message is one message to publish. TextMessage and BinaryMessage make the usual
// ones; set the fields for the rest.
type Message struct {
	// Op is Text or Binary. Ignored if Prepared is set.
	Op OpCode
	// Data is the payload. Publish copies it; text should be valid UTF-8, which is
	// not checked. Ignored if Prepared is set.
	Data []byte
	// Prepared is published instead of Op and Data. It is encoded and compressed
	// once, however often and to how many topics you publish it.
	Prepared *Prepared
	// Key names what the message is about: a symbol, a user, a cursor. For a slow
	// subscriber whose policy is SlowConflate it replaces an earlier message of the
	// same key that still waits. "" is no key.
	Key string
	// Tag is what Callbacks.OnUnsubscribe gets if the message is the first one that a slow
	// subscriber does not get: where to go on. It is not sent, and retained messages lose
	// it.
	Tag any
	// Retain keeps the message as the last value of the topic; with a Key, as that of
	// the key. Whoever subscribes gets the last values first, in the order in which
	// they were published. A message without data removes the value instead, and is
	// delivered like any other. See Server.MaxRetained.
	Retain bool
}

// TextMessage returns a text message. p is not copied before it is published.
func TextMessage[T string | []byte](p T) Message {
	if s, ok := any(p).(string); ok {
		return Message{Op: Text, Data: unsafe.Slice(unsafe.StringData(s), len(s))} // never written to
	}
	b, _ := any(p).([]byte)
	return Message{Op: Text, Data: b}
}

// BinaryMessage returns a binary message. p is not copied before it is published.
func BinaryMessage(p []byte) Message { return Message{Op: Binary, Data: p} }

// check returns ErrNotData if m is no data message.
func (m *Message) check() error {
	if m.Prepared == nil && !m.Op.IsData() {
		return ErrNotData
	}
	return nil
}

// empty reports whether m has no data.
func (m *Message) empty() bool {
	if m.Prepared != nil {
		return len(m.Prepared.payload) == 0
	}
	return len(m.Data) == 0
}

// encode returns m as the fan-out keeps it.
func (m *Message) encode() fanout.Message {
	if m.Prepared != nil {
		return fanout.Message{Frames: m.Prepared.frames, Key: m.Key, KeyApart: true, Tag: m.Tag}
	}
	return fanout.Message{Frames: frames.New(m.Op, m.Data, len(m.Key)), Key: m.Key, Tag: m.Tag}
}
