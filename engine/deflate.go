package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// compresses says whether a message of n bytes goes out compressed.
func (ws *WebSocket) compresses(n int) bool {
	return ws.agreed.variant != frames.Plain && n >= ws.settings().compressor.options.Threshold
}

// sendCompressed sends p as one message. What does not shrink by itself goes out
// as it is; what refers to messages before it goes out compressed in any case, which
// costs a few bytes and not the context.
func (ws *WebSocket) sendCompressed(op OpCode, p []byte) error {
	if !ws.mayWrite() {
		return ErrClosed // before it is compressed for nothing
	}
	if ws.agreed.takeover&sendsInContext != 0 {
		return ws.sendInContext(op, p)
	}
	buf := frames.BorrowScratch()
	defer frames.ReturnScratch(buf)
	*buf = ws.settings().compressor.Append((*buf)[:0], p, ws.agreed.variant, nil)
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
	c, v := ws.settings().compressor, ws.agreed.variant
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
		before := x.continues()
		*buf = c.Append((*buf)[:0], p, v, x.sent)
		sent, err := ws.writeInContext(op, *buf, x, &before)
		if sent || err != nil {
			return err
		}
		*buf = c.Append((*buf)[:0], p, v, nil)
	}
	x.sent.Restart(p)
	_, err = ws.writeInContext(op, *buf, x, nil)
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

// continues makes sent what the next message may refer to: nothing, if a frame that
// connections share went out behind what it holds. It returns the number of such
// frames. Under order.
func (x *takeover) continues() uint32 {
	if shared := x.shared.Load(); shared != x.follow {
		x.sent.Reset()
		x.follow = shared
	}
	return x.follow
}

// writeInContext writes a compressed message, which sent has already. If it refers
// to what was sent when there were *before frames that connections share, and there
// is another one now, it is not sent: its distances would be wrong. Under order.
func (ws *WebSocket) writeInContext(op OpCode, p []byte, x *takeover, before *uint32) (sent bool, err error) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	frame, err := ws.nextFrameLocked(op, op)
	if err == nil && before != nil && *before != x.shared.Load() {
		return false, nil
	}
	if err == nil {
		err = ws.writeFrameLocked(frame, true, true, p)
		ws.sentFrameLocked(op, true, err)
	}
	if err != nil {
		x.sent.Reset() // the peer does not get what the next message would refer to
	}
	x.follow = x.shared.Load()
	return err == nil, err
}

// frameLocked returns m as ws gets it. Under the lock of conn, for a frame that
// is written next.
func (ws *WebSocket) frameLocked(m *frames.Frames) *loop.Shared {
	frame := m.In(ws.agreed.variant, ws.settings().compressor.packer())
	if frame != m.Plain() {
		ws.forgetSentLocked()
	}
	return frame
}

// forgetSentLocked keeps the next message from referring back to what was sent
// before a frame that many connections share: the distances would be wrong.
func (ws *WebSocket) forgetSentLocked() {
	if ws.agreed.takeover&sendsInContext != 0 {
		ws.extras.takeover.shared.Add(1)
	}
}
