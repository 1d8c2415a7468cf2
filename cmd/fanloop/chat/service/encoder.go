package service

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

// encoder makes what subscribers of one encoding get. It is immutable.
type encoder struct {
	encoding protocol.Encoding
	// lost is called when all live subscribers of a topic may have missed something.
	lost func(topic string)
	// delivered is called for each message that subscribers get.
	delivered func(protocol.Encoding, *cluster.Message)
}

// Message implements live.Encoder.
func (e *encoder) Message(m *cluster.Message) engine.Message {
	e.delivered(e.encoding, m)
	frame := messageOf(m)
	frame.Topic = m.Topic
	return messageIn(e.encoding, e.encoding.AppendMessage(nil, &frame))
}

// Page implements live.Encoder. A page without messages is sent to nobody but who was
// told that messages follow, and waits for their end. A reset for all has no attempt that all share, so
// each session ends its subscription, and the client comes back with its position.
func (e *encoder) Page(p *live.Page) engine.Message {
	var frames []byte
	switch {
	case p.Reset && p.WebSocket == nil:
		e.lost(p.Topic)
	case p.Reset:
		c := engine.Get[*conn](p.WebSocket)
		frames = e.append(frames, &protocol.ResetTo{Topic: p.Topic, Attempt: c.attempt(p.Topic), Pos: protocol.Position(p.Position)})
	}
	if len(p.Messages) > 0 || p.WebSocket != nil && engine.Get[*conn](p.WebSocket).awaits(p.Topic) {
		frames = e.append(frames, &protocol.Messages{Topic: p.Topic, Messages: messagesOf(p.Messages), More: p.More})
	}
	if frames == nil {
		return engine.Message{}
	}
	return messageIn(e.encoding, frames)
}

// append appends a frame that is none of a client's JSON, or one that was checked.
func (e *encoder) append(frames []byte, f protocol.Frame) []byte {
	frames, _ = e.encoding.Append(frames, f) // stored Data is JSON: a publish was decoded
	return frames
}

// messageIn is a message of the engine in an encoding.
func messageIn(e protocol.Encoding, frames []byte) engine.Message {
	return engine.Message{Op: opOf(e), Data: frames}
}

func opOf(e protocol.Encoding) engine.OpCode {
	if e == protocol.CBOR {
		return engine.Binary
	}
	return engine.Text
}

// messageOf is a stored message without its topic. What is not stored by this program
// has an empty body.
func messageOf(m *cluster.Message) protocol.Message {
	body, _ := bodyOf(m.Data)
	return protocol.Message{Offset: m.Offset, Prev: m.Prev, ID: m.ID, Time: m.Time.UnixMilli(), Body: body}
}

func messagesOf(all []cluster.Message) []protocol.Message {
	list := make([]protocol.Message, len(all))
	for i := range all {
		list[i] = messageOf(&all[i])
	}
	return list
}

// bodyOf reads what storedBody wrote.
func bodyOf(data []byte) (body protocol.Body, err error) {
	if err := cbor.Unmarshal(data, &body); err != nil {
		return protocol.Body{}, fmt.Errorf("service: a stored message cannot be read: %w", err)
	}
	return body, nil
}

// storedBody is a body as the store has it.
func storedBody(body *protocol.Body) ([]byte, error) { return cbor.Marshal(body) }
