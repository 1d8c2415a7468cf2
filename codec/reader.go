package codec

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Event is one thing a Reader found: a data message, a control frame, or in
// streaming mode a piece of a data message.
type Event struct {
	// OpCode is Text, Binary, Close, Ping or Pong. A message that came in
	// fragments has the opcode of its first frame.
	OpCode OpCode
	// Fin is false only for a piece of a message that goes on (streaming mode).
	Fin bool
	// Compressed tells that the message had RSV1 set: Payload is to be inflated
	// (RFC 7692), and its text was not checked for UTF-8. A compressed message
	// is always whole.
	Compressed bool
	// Payload is unmasked and borrowed: it is valid until the next call of Next
	// or Reset, and as long as the bytes given to Next are left alone. It may be
	// written to.
	Payload []byte
}

// Reader turns the bytes of one connection into events: a Parser with its configuration.
// Init makes it ready. One goroutine at a time may use it. While no frame or message is
// pending it holds no buffer.
type Reader struct {
	cfg *ReaderConfig
	Parser
}

// Init makes r ready for a new connection. cfg is shared and must not change
// while r is in use.
func (r *Reader) Init(cfg *ReaderConfig) { *r = Reader{cfg: cfg} }

// SetConfig replaces the configuration of r, as Next of a Parser does. cfg is shared as
// with Init.
func (r *Reader) SetConfig(cfg *ReaderConfig) { r.cfg = cfg }

// Next is Next of a Parser with the configuration of r.
func (r *Reader) Next(b []byte) (ev Event, ok bool, n int, err error) {
	return r.Parser.Next(r.cfg, b)
}

// Parser is a Reader whose caller keeps the configuration, for those who have many: it
// takes 16 bytes. The zero value is ready for a new connection. One goroutine at a time may
// use it.
type Parser struct {
	pending   *assembly // nil while between messages with no byte left over
	frames    uint32
	streaming bool  // for messages that start from now on
	broken    uint8 // set for good by the first broken rule: its place in faults
}

// Next takes bytes from the front of b, which follow those of the call before,
// and reports the next event.
//
// With ok, ev is an event and n bytes of b are done with: deliver ev, then call
// Next with b[n:], also when nothing is left of b. Without ok and error, all of b
// was taken: call again when more has arrived. This last call is the one that
// gives back the buffer behind the event before it.
//
// b is unmasked in place. Its bytes are not needed after the call, except that
// ev.Payload may point into them.
//
// err is a *ProtocolError, for which the caller fails the connection. Events that
// stand before the fault are reported first. From then on every call returns the
// same error and takes nothing. How the stream is cut into calls changes neither
// the events nor the error; in streaming mode it changes only how messages are
// cut into pieces, and how much of a message was delivered when it turns out to
// be bad.
//
// cfg may be another one in each call. It counts from the next frame on: of one that has
// begun, the size is accepted.
func (r *Parser) Next(cfg *ReaderConfig, b []byte) (ev Event, ok bool, n int, err error) {
	if r.pending != nil || r.broken != 0 {
		return r.resume(cfg, b)
	}
	if op, payload, n := r.whole(cfg, b); n > 0 {
		if op == Text && !utf8.Valid(payload) {
			return r.fail(ErrInvalidUTF8) // §8.1
		}
		r.frames++
		return Event{OpCode: op, Fin: true, Payload: payload}, true, n, nil
	}
	h, n, err := ParseHeader(b)
	if n == 0 {
		if err == nil && len(b) == 0 {
			return Event{}, false, 0, nil
		}
		return r.start(cfg, b)
	}
	if fault := cfg.check(&h, &message{streaming: r.streaming && !h.Rsv1}); fault != nil {
		return r.fail(fault)
	}
	if !h.Fin || h.Length > int64(len(b)-n) {
		return r.start(cfg, b)
	}
	end := n + int(h.Length)
	payload := b[n:end:end]
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	if h.OpCode == Text && !h.Rsv1 && !utf8.Valid(payload) {
		return r.fail(ErrInvalidUTF8) // §8.1
	}
	r.frames++
	return Event{OpCode: h.OpCode, Fin: true, Compressed: h.Rsv1, Payload: payload}, true, end, nil
}

// whole is the shortest way for the usual frame: a message of less than 64 KiB that is
// whole in b, not compressed, and breaks no rule that its header tells. n is 0 for all
// others, of which ParseHeader and check know more.
func (r *Parser) whole(cfg *ReaderConfig, b []byte) (op OpCode, payload []byte, n int) {
	const text, binary, least = finBit | byte(Text), finBit | byte(Binary), 6
	if len(b) < least || b[0] != text && b[0] != binary {
		return 0, nil, 0
	}
	length, at := int(b[1]&^maskBit), 2
	switch {
	case length == length64:
		return 0, nil, 0
	case length == length16:
		if length, at = int(b[2])<<8|int(b[3]), 4; length < length16 {
			return 0, nil, 0
		}
	}
	masked := b[1]&maskBit != 0
	if masked {
		at += 4
	}
	end := at + length
	switch {
	case len(b) < end, masked != (cfg.Role == Server):
		return 0, nil, 0
	case int64(length) > cfg.maxMessage() && !r.streaming:
		return 0, nil, 0
	}
	payload = b[at:end:end]
	if masked {
		ws.Cipher(payload, [4]byte(b[at-4:]), 0)
	}
	return OpCode(b[0] &^ finBit), payload, end
}

// start leaves the straight path of Next: something is going to stay pending.
func (r *Parser) start(cfg *ReaderConfig, b []byte) (Event, bool, int, error) {
	r.pending = newAssembly()
	return r.resume(cfg, b)
}

// resume is Next while a header, a frame or a message is pending.
func (r *Parser) resume(cfg *ReaderConfig, b []byte) (ev Event, ok bool, n int, err error) {
	if r.broken != 0 {
		return Event{}, false, 0, faults[r.broken]
	}
	a := r.pending
	if a.delivered {
		r.Reset()
		return r.Next(cfg, b)
	}
	for n < len(b) {
		if !a.inFrame {
			used, fault := a.readHeader(b[n:], cfg, r.streaming)
			if fault != nil {
				return r.fail(fault)
			}
			n += used
			if !a.inFrame {
				break
			}
			r.frames++
		}
		p := a.unmask(b[n:])
		n += len(p)
		ev, ok, fault := a.readPayload(p, cfg)
		if fault != nil {
			return r.fail(fault)
		}
		if ok {
			return ev, true, n, nil
		}
	}
	return Event{}, false, n, nil
}

// SetStreaming switches streaming mode: with it, data messages are handed over
// piece by piece as they arrive, only the last piece having Fin set. That piece
// may be empty, the others are not. A piece of text may end inside a UTF-8
// sequence. MaxMessage and MaxFragments do not apply, since nothing is kept. The
// switch takes effect at the next message. Compressed messages are not handed
// over in pieces: they are assembled, within the limits.
func (r *Parser) SetStreaming(on bool) { r.streaming = on }

// Frames returns how many frames have begun, modulo 2^32: a caller that divides
// its time wants to know how many there were in the bytes it gave to Next.
func (r *Parser) Frames() uint32 { return r.frames }

// Keep makes p, the payload of the message that Next has just returned, last until
// the next call of Next or Reset, whatever becomes of the bytes that Next was given,
// and returns it. It may have moved.
func (r *Parser) Keep(p []byte) []byte {
	if len(p) == 0 || r.pending != nil && r.pending.data != nil {
		return p
	}
	if r.pending == nil {
		r.pending = newAssembly()
		r.pending.delivered = true
	}
	r.pending.data = appendTo(nil, p, math.MaxInt64)
	return r.pending.data.bytes
}

// InMessage reports whether a data message has begun and has not been delivered
// to its end.
func (r *Parser) InMessage() bool { return r.pending != nil && r.pending.inMessage }

// Pending reports whether a frame or message has begun and has not come to its
// end.
func (r *Parser) Pending() bool { return r.pending != nil && !r.pending.delivered }

// Buffered returns how many bytes of a message that is not whole yet are kept.
func (r *Parser) Buffered() int {
	if !r.InMessage() || r.pending.data == nil {
		return 0
	}
	return len(r.pending.data.bytes)
}

// Held returns the bytes of memory that r keeps, because a header, a frame or a
// message is not whole yet, or for the payload of the event before.
func (r *Parser) Held() int {
	if r.pending == nil {
		return 0
	}
	return r.pending.size()
}

// Reset gives back all buffers and forgets what is pending, for the end of a
// connection. One that failed stays failed: begin anew with another.
func (r *Parser) Reset() {
	if r.pending != nil {
		r.pending.release()
		r.pending = nil
	}
}

// fail gives the buffers back and makes fault the answer from now on.
func (r *Parser) fail(fault *ProtocolError) (Event, bool, int, error) {
	r.Reset()
	r.broken = uint8(slices.Index(faults, fault))
	return Event{}, false, 0, fault
}

// check tells which rule the frame behind h breaks, if any. m is the message it
// falls into.
func (c *ReaderConfig) check(h *Header, m *message) *ProtocolError {
	switch {
	case h.Rsv2 || h.Rsv3:
		return errReservedBits // §5.2
	case h.Rsv1 && !(c.Rsv1 && h.OpCode.IsData()):
		return errUnexpectedRsv1 // §5.2, RFC 7692 §6
	case c.Role == Server && !h.Masked:
		return errNotMasked // §5.1
	case c.Role == Client && h.Masked:
		return errMasked // §5.1
	case h.OpCode.IsReserved():
		return errReservedOpCode // §5.2
	case h.OpCode.IsControl() && !h.Fin:
		return errFragmentedControl // §5.5
	case h.OpCode.IsControl() && h.Length > maxControlPayload:
		return errLongControl // §5.5
	case h.OpCode.IsControl():
		return nil
	case h.OpCode == Continuation && !m.inMessage:
		return errOrphanContinuation // §5.4
	case h.OpCode != Continuation && m.inMessage:
		return errInterleavedMessage // §5.4
	case m.streaming:
		return nil
	case h.Length > c.maxMessage()-m.length:
		return ErrMessageTooBig // §10.4
	case int64(m.fragments) >= c.maxFragments(m.length):
		return ErrTooManyFragments // §10.4
	}
	return nil
}
