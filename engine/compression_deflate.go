package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
)

// compresses reports whether a message of n bytes goes out compressed.
func (ws *WebSocket) compresses(n int) bool {
	return ws.out.Variant != frames.Plain && n >= ws.settings().compressor.options.Threshold
}

// sendCompressed sends p as one message. What does not shrink by itself goes out
// as it is; what refers to messages before it goes out compressed in any case, which
// costs a few bytes and not the context.
func (ws *WebSocket) sendCompressed(op OpCode, p []byte) error {
	if !ws.out.MayWrite() {
		return ErrClosed // before it is compressed for nothing
	}
	if ws.out.Takeover&outlet.SendsInContext != 0 {
		return ws.sendInContext(op, p)
	}
	buf := frames.BorrowScratch()
	defer frames.ReturnScratch(buf)
	*buf = ws.settings().compressor.Append((*buf)[:0], p, ws.out.Variant, nil)
	if len(*buf) >= len(p) {
		return ws.sendFrame(op, op, true, false, p)
	}
	return ws.sendFrame(op, op, true, true, *buf)
}

// sendInContext is sendCompressed with context takeover: messages are compressed
// in the order in which they are sent.
func (ws *WebSocket) sendInContext(op OpCode, p []byte) error {
	buf := frames.BorrowScratch()
	defer frames.ReturnScratch(buf)
	c, v := ws.settings().compressor, ws.out.Variant
	alone := len(p) > frames.MaxInContext
	if alone {
		*buf = c.Append((*buf)[:0], p, v, nil)
		if len(*buf) >= len(p) {
			return ws.sendFrame(op, op, true, false, p)
		}
	}
	ws.catchUp()
	x, err := ws.context(op)
	if err != nil {
		return err
	}
	x.order.Lock()
	defer x.order.Unlock()
	defer x.tallySent(c)
	if !alone {
		ws.keepStep(x)
		*buf = c.Append((*buf)[:0], p, v, x.sent)
		sent, err := ws.writeInContext(op, *buf, x, true)
		if sent || err != nil {
			return err
		}
		*buf = c.Append((*buf)[:0], p, v, nil)
	}
	x.sent.Restart(p)
	_, err = ws.writeInContext(op, *buf, x, false)
	return err
}

// context returns the takeover of ws, if a message of kind op may be sent now.
func (ws *WebSocket) context(op OpCode) (*takeover, error) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if _, err := ws.nextFrameLocked(op, op); err != nil {
		return nil, err // before it is compressed for nothing
	}
	return ws.extras.takeover, nil
}

// keepStep makes sent what the next message may refer to: nothing, if it was
// overtaken. Under order.
func (ws *WebSocket) keepStep(x *takeover) {
	ws.conn.Lock()
	overtaken := ws.out.Overtaken
	ws.out.Overtaken = false
	ws.conn.Unlock()
	if overtaken {
		x.sent.Reset()
	}
}

// writeInContext writes a compressed message, which sent has already. If it refers
// back, and was overtaken since it was begun, it is not sent: its distances would be
// wrong. Under order.
func (ws *WebSocket) writeInContext(op OpCode, p []byte, x *takeover, refers bool) (sent bool, err error) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	frame, err := ws.nextFrameLocked(op, op)
	if err == nil && refers && ws.out.Overtaken {
		return false, nil
	}
	if err == nil {
		err = ws.writeFrameLocked(frame, true, true, p)
		ws.sentFrameLocked(op, true, err)
	}
	if err != nil {
		x.sent.Reset() // the peer does not get what the next message would refer to
	}
	ws.out.Overtaken = false
	return err == nil, err
}
