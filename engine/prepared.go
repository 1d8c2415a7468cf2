package engine

import (
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// Prepared is a message encoded once, to be sent to many connections.
// Immutable; any goroutine may use it.
type Prepared struct {
	op      OpCode
	payload []byte
	frame   *loop.Shared // as a server sends it
}

// Prepare encodes p as one message, Text or Binary. It copies p. Any goroutine.
func Prepare(op OpCode, p []byte) (*Prepared, error) {
	if !op.IsData() {
		return nil, ErrNotData
	}
	frame := codec.AppendFrame(make([]byte, 0, codec.MaxHeaderSize+len(p)), op, true, p)
	return &Prepared{op: op, payload: frame[len(frame)-len(p):], frame: loop.NewShared(frame)}, nil
}

// SendPrepared is Send of a prepared message. A server queues it by reference,
// however many connections it is queued for; a client has to mask it anew.
func (ws *WebSocket) SendPrepared(p *Prepared) error {
	if ws.endpoint.role == codec.Client {
		return ws.sendMasked(p.op, p.op, true, p.payload)
	}
	ws.lockSend()
	defer ws.conn.Unlock()
	if _, err := ws.nextFrameLocked(p.op, p.op); err != nil {
		return err
	}
	err := ws.conn.WriteSharedLocked(p.frame, false)
	ws.sentFrameLocked(p.op, true, err)
	return err
}
