package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// deflaters are borrowed for a message, by variant; plain: unused.
var deflaters [variants]sync.Pool

// appendCompressed appends p as v has it. w is nil without context takeover.
func (c *compressor) appendCompressed(dst, p []byte, v variant, w *codec.Window) []byte {
	c.messages.Add(1)
	d, _ := deflaters[v].Get().(*codec.Deflater)
	if d == nil {
		d = codec.NewDeflater(v.windowBits())
	}
	dst = d.AppendMessage(dst, p, w)
	deflaters[v].Put(d)
	return dst
}

// compresses says whether a message of n bytes goes out compressed.
func (ws *WebSocket) compresses(n int) bool {
	return ws.agreed.variant != plain && n >= ws.settings().compressor.options.Threshold
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
	buf := scratch.Get().(*[]byte)
	defer putScratch(buf)
	*buf = ws.settings().compressor.appendCompressed((*buf)[:0], p, ws.agreed.variant, nil)
	if len(*buf) >= len(p) {
		return ws.sendFrame(op, op, true, false, p)
	}
	return ws.sendFrame(op, op, true, true, *buf)
}

// maxInContext is the size in bytes up to which a message refers to those before
// it. A longer one would gain a few per cent at most, as the context is 4 KiB, and
// is compressed before its turn comes: it makes nobody wait.
const maxInContext = 16 << 10

// sendInContext is sendCompressed with context takeover: messages are compressed
// in the order in which they are sent.
func (ws *WebSocket) sendInContext(op OpCode, p []byte) error {
	buf := scratch.Get().(*[]byte)
	defer putScratch(buf)
	c, v := ws.settings().compressor, ws.agreed.variant
	alone := len(p) > maxInContext
	if alone {
		*buf = c.appendCompressed((*buf)[:0], p, v, nil)
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
		*buf = c.appendCompressed((*buf)[:0], p, v, x.sent)
		sent, err := ws.writeInContext(op, *buf, x, &before)
		if sent || err != nil {
			return err
		}
		*buf = c.appendCompressed((*buf)[:0], p, v, nil)
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

// frames are one message for many connections of servers: plain, and compressed
// in each variant that somebody asks for. Immutable but for what is made when it
// is first asked for; any goroutine may ask.
type frames struct {
	plain  loop.Shared
	packed atomic.Pointer[[variants]packed] // by variant; plain: unused
}

// packed is one variant of a message.
type packed struct {
	making sync.Mutex
	frame  atomic.Pointer[loop.Shared] // nil: nobody asked yet
}

// newFrames encodes payload. extra bytes besides live as long as the frames do.
func newFrames(op OpCode, payload []byte, extra int) *frames {
	m := new(frames)
	room := slices.Grow([]byte(nil), codec.MaxHeaderSize+len(payload)) // all that is allocated, so that it counts
	m.plain.Init(codec.AppendFrame(room, op, true, payload), extra)
	return m
}

// size is that of the plain frame: what counts where it is not known yet, or not
// the same for all, how the message goes out.
func (m *frames) size() int { return m.plain.Len() }

// in returns m as v has it: the plain frame for messages below the threshold of
// c, which is nil for nobody but plain ones, and for those that do not shrink.
func (m *frames) in(v variant, c *compressor) *loop.Shared {
	if v == plain || m.plain.Len() < c.minFrame {
		return &m.plain
	}
	all := m.packed.Load()
	if all == nil {
		m.packed.CompareAndSwap(nil, new([variants]packed))
		all = m.packed.Load()
	}
	one := &all[v]
	if frame := one.frame.Load(); frame != nil {
		return frame
	}
	one.making.Lock()
	defer one.making.Unlock()
	frame := one.frame.Load()
	if frame == nil {
		frame = m.pack(v, c)
		one.frame.Store(frame)
	}
	return frame
}

// packAhead compresses a large message as the connections of c have it, whether or
// not they are subscribers: for whoever publishes it, before it takes the locks that
// their loops would wait for.
func (m *frames) packAhead(c *compressor) {
	if c == nil || m.plain.Len() <= maxInContext {
		return
	}
	for v := plain + 1; v < variants; v++ {
		if c.inUse[v].Load() > 0 {
			m.in(v, c)
		}
	}
}

// pack compresses m.
func (m *frames) pack(v variant, c *compressor) *loop.Shared {
	buf := scratch.Get().(*[]byte)
	defer putScratch(buf)
	whole := m.plain.Bytes()
	h, n, _ := codec.ParseHeader(whole) // newFrames made it
	*buf = c.appendCompressed((*buf)[:0], whole[n:], v, nil)
	if len(*buf) >= len(whole)-n {
		return &m.plain
	}
	frame := make([]byte, 0, codec.MaxHeaderSize+len(*buf))
	return loop.NewShared(codec.AppendCompressedFrame(frame, h.OpCode, true, *buf))
}

// frameLocked returns m as ws gets it. Under the lock of conn, for a frame that
// is written next.
func (ws *WebSocket) frameLocked(m *frames) *loop.Shared {
	if ws.agreed.variant == plain {
		return &m.plain
	}
	frame := m.in(ws.agreed.variant, ws.settings().compressor)
	if frame != &m.plain {
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
