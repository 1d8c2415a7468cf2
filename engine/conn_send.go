package engine

import (
	"unsafe"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// Send sends p as one message, Text or Binary. It never blocks. You may reuse p when it
// returns. Text should be valid UTF-8, which is not checked. Any goroutine.
//
// nil means that the kernel took the message or that it is queued. ErrBackpressure means that
// the peer reads too slowly and Limits.MaxQueued is reached: send again in OnDrain.
// ErrClosed means that the connection is closed or closing: stop sending.
func (ws *WebSocket) Send(op OpCode, p []byte) error {
	if !op.IsData() {
		return ErrNotData
	}
	if ws.compresses(len(p)) {
		return ws.sendCompressed(op, p)
	}
	return ws.sendFrame(op, op, true, false, p)
}

// SendText is Send of a text message.
func (ws *WebSocket) SendText(s string) error {
	return ws.Send(Text, unsafe.Slice(unsafe.StringData(s), len(s))) // never written to
}

// SendBinary is Send of a binary message.
func (ws *WebSocket) SendBinary(p []byte) error { return ws.Send(Binary, p) }

// SendFragment sends p as one frame of a fragmented message (RFC 6455 section 5.4). op is Text
// or Binary, the same for every frame of the message. fin marks the last frame. Other messages
// are refused with ErrFragmentOpen until then. The message is not compressed.
//
// Published messages wait for the last frame. If the connection closes before it, they count
// as dropped, and OnGap is called. Errors are those of Send. Any goroutine.
func (ws *WebSocket) SendFragment(op OpCode, p []byte, fin bool) error {
	if !op.IsData() {
		return ErrNotData
	}
	return ws.sendFrame(op, Continuation, fin, false, p)
}

// sendFrame sends a frame of a data message of kind op. as is op for a message
// in one frame, and Continuation for one of fragments; rsv1 says that p is
// compressed.
func (ws *WebSocket) sendFrame(op, as OpCode, fin, rsv1 bool, p []byte) error {
	ws.lockSend()
	defer ws.conn.Unlock()
	if fin && as == op && ws.corkMessageLocked(op, rsv1, p) {
		return nil
	}
	frame, err := ws.nextFrameLocked(op, as)
	if err != nil {
		return err
	}
	err = ws.writeFrameLocked(frame, fin, rsv1, p)
	ws.sentFrameLocked(op, fin, err)
	return err
}

// corkMessageLocked sends a whole message inside an event of the connection, as most
// are sent: it is encoded once, to where the send at the end of the event takes it
// from. false: nothing was done, and the message is to be sent as any frame.
func (ws *WebSocket) corkMessageLocked(op OpCode, rsv1 bool, p []byte) bool {
	if !ws.out.IsOpen() || ws.out.Fragments != 0 || ws.settings().role == codec.Client {
		return false
	}
	h := codec.Header{OpCode: op, Fin: true, Rsv1: rsv1, Length: int64(len(p))}
	room := ws.conn.CorkLocked(h.Size() + len(p))
	if room == nil {
		return false
	}
	n := len(codec.AppendHeader(room[:0], h))
	copy(room[n:], p)
	return true
}

// writeFrameLocked writes one frame as this side has to.
func (ws *WebSocket) writeFrameLocked(op OpCode, fin, rsv1 bool, p []byte) error {
	if ws.settings().role == codec.Client {
		return ws.writeMaskedLocked(op, fin, rsv1, p)
	}
	var head [codec.MaxHeaderSize]byte
	n := codec.PutHeader(&head, codec.Header{OpCode: op, Fin: fin, Rsv1: rsv1, Length: int64(len(p))})
	return fromLoop(ws.conn.WriteLocked(head[:n], p, false))
}

// lockSend takes the lock of the connection for a send. What the same goroutine
// published to this connection before goes first.
func (ws *WebSocket) lockSend() {
	ws.catchUp()
	ws.conn.Lock()
}

// catchUp sends the published messages that wait for the loop of the connection.
func (ws *WebSocket) catchUp() {
	if m := ws.member.Load(); m != nil {
		m.CatchUp()
	}
}

func (ws *WebSocket) writeMaskedLocked(op OpCode, fin, rsv1 bool, p []byte) error {
	buf := frames.BorrowScratch()
	defer frames.ReturnScratch(buf)
	if rsv1 {
		*buf = codec.AppendMaskedCompressedFrame((*buf)[:0], op, fin, p)
	} else {
		*buf = codec.AppendMaskedFrame((*buf)[:0], op, fin, p)
	}
	return fromLoop(ws.conn.WriteLocked(*buf, nil, false))
}

// nextFrameLocked decides whether the frame may be sent now, and its opcode.
func (ws *WebSocket) nextFrameLocked(op, as OpCode) (OpCode, error) {
	switch {
	case !ws.sendsLocked():
		return 0, ErrClosed
	case ws.out.Fragments == 0:
		return op, nil
	case as != Continuation || op != ws.out.Fragments:
		return 0, ErrFragmentOpen
	}
	return Continuation, nil
}

// sendsLocked reports whether the program may send: the connection is open and its
// end was not asked for, or Close was called and OnGap is being called.
func (ws *WebSocket) sendsLocked() bool {
	x := ws.extras
	return ws.out.IsOpen() || ws.out.MayWrite() && x != nil && x.inOnGap
}

// sentFrameLocked notes whether a message of fragments is under way.
func (ws *WebSocket) sentFrameLocked(op OpCode, fin bool, err error) {
	switch {
	case err == ErrClosed: // the fragmented message will not be finished
		ws.out.Fragments = 0
	case err != nil:
	case fin:
		if m := ws.member.Load(); ws.out.Fragments != 0 && m != nil && m.IsSlow() {
			ws.conn.NotifyEmptyLocked() // published messages waited for it
		}
		ws.out.Fragments = 0
		ws.conn.Loop().CountOut(1)
	default:
		ws.out.Fragments = op
	}
}
