package engine

import (
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// Prepared is a message encoded once, to be sent to many connections. It is
// compressed when the first connection needs it, once for each window size.
// Immutable; any goroutine may use it.
type Prepared struct {
	op      OpCode
	payload []byte
	frames  *frames.Frames // as a server sends it
}

// Prepare encodes p as one message, Text or Binary. It copies p. Any goroutine.
func Prepare(op OpCode, p []byte) (*Prepared, error) {
	if !op.IsData() {
		return nil, ErrNotData
	}
	m := frames.New(op, p, 0)
	frame := m.Plain().Bytes()
	return &Prepared{op: op, payload: frame[len(frame)-len(p):], frames: m}, nil
}

// SendPrepared is Send of a prepared message. A server queues it by reference,
// however many connections it is queued for; a client has to mask it anew.
func (ws *WebSocket) SendPrepared(p *Prepared) error {
	if ws.settings().role == codec.Client {
		return ws.Send(p.op, p.payload)
	}
	p.frames.In(ws.out.Variant, ws.settings().compressor.packer()) // not under the lock
	ws.lockSend()
	defer ws.conn.Unlock()
	if _, err := ws.nextFrameLocked(p.op, p.op); err != nil {
		return err
	}
	err := fromLoop(ws.conn.WriteSharedLocked(ws.frameLocked(p.frames), false))
	ws.sentFrameLocked(p.op, true, err)
	return err
}

// frameLocked returns m as ws gets it. Under the lock of conn, for a frame that
// is written next.
func (ws *WebSocket) frameLocked(m *frames.Frames) *loop.Shared {
	frame := m.In(ws.out.Variant, ws.settings().compressor.packer())
	if frame != m.Plain() {
		ws.out.Overtaken = true
	}
	return frame
}
