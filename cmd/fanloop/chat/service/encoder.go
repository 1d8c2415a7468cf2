package service

import (
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

// encoder makes what subscribers of one encoding get. It is immutable.
type encoder struct {
	encoding protocol.Encoding
	service  *Service
}

// Message implements live.Encoder.
func (e *encoder) Message(m *cluster.Message) engine.Message {
	e.service.late()
	e.service.delivered(e.encoding, m)
	frame := e.service.messageOf(m)
	frame.Topic = m.Topic
	return messageIn(e.encoding, e.encoding.AppendMessage(nil, &frame))
}

// Page implements live.Encoder. A page without messages is sent to nobody but who was
// told that messages follow, and waits for their end. A reset for all has no attempt that all share, so
// each session ends its subscription, and the client comes back with its position.
func (e *encoder) Page(p *live.Page) engine.Message {
	e.service.late()
	var frames []byte
	switch {
	case p.Reset && p.WebSocket == nil:
		e.service.lost(p.Topic)
	case p.Reset:
		c := engine.Get[*conn](p.WebSocket)
		frames = e.append(frames, &protocol.ResetTo{Topic: p.Topic, Attempt: c.attempt(p.Topic), Pos: protocol.Position(p.Position)})
	}
	if len(p.Messages) > 0 || p.WebSocket != nil && engine.Get[*conn](p.WebSocket).awaits(p.Topic) {
		frames = e.append(frames, &protocol.Messages{Topic: p.Topic, Messages: e.service.messagesOf(p.Messages), More: p.More})
	}
	if frames == nil {
		return engine.Message{}
	}
	return messageIn(e.encoding, frames)
}

// append appends a frame. All that has Data has been checked; otherwise package live has the
// subscriber get a reset.
func (e *encoder) append(frames []byte, f protocol.Frame) []byte {
	frames, err := e.encoding.Append(frames, f)
	if err != nil {
		panic(err)
	}
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
