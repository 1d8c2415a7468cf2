package codec

import (
	"sync"
	"unsafe"

	"github.com/gobwas/ws"
)

// message is what is known of the data message that is under way. Its zero value
// is between two messages.
type message struct {
	inMessage  bool
	streaming  bool
	compressed bool
	opcode     OpCode
	fragments  int   // frames begun
	length     int64 // payload bytes of these frames, as their headers declared
}

// assembly is the state of a Reader that has something pending: the front of a
// header, a frame not yet whole, a message not yet whole, or the payload of the
// event delivered last.
type assembly struct {
	message
	text Validator
	data *buffer // the message so far; nil while empty

	frame   Header
	inFrame bool
	masked  int   // payload bytes of the frame that are unmasked
	left    int64 // payload bytes of the frame still to come

	headLen    int
	head       [MaxHeaderSize]byte
	controlLen int
	control    [maxControlPayload]byte

	delivered bool // nothing is pending but the payload of the last event
}

var assemblies = sync.Pool{New: func() any { return new(assembly) }}

func newAssembly() *assembly { return assemblies.Get().(*assembly) }

// size is what a and its buffer take.
func (a *assembly) size() int {
	n := int(unsafe.Sizeof(*a))
	if a.data != nil {
		n += cap(a.data.bytes)
	}
	return n
}

func (a *assembly) release() {
	if a.data != nil {
		a.data.release()
	}
	*a = assembly{}
	assemblies.Put(a)
}

// readHeader takes a frame header, or as much of one as there is, from the front
// of b. inFrame tells whether it is complete.
func (a *assembly) readHeader(b []byte, cfg *ReaderConfig, streaming bool) (used int, fault *ProtocolError) {
	had := a.headLen
	if had > 0 {
		a.headLen += copy(a.head[had:], b)
		b = a.head[:a.headLen]
	}
	h, n, err := ParseHeader(b)
	switch {
	case err != nil:
		return 0, err.(*ProtocolError)
	case n > 0:
		a.headLen = 0
		return n - had, a.begin(h, cfg, streaming)
	case had == 0:
		a.headLen = copy(a.head[:], b)
	}
	return a.headLen - had, nil
}

// begin enters the frame behind h, and the message if it is its first frame.
func (a *assembly) begin(h Header, cfg *ReaderConfig, streaming bool) *ProtocolError {
	if !a.inMessage {
		a.streaming = streaming && !h.Rsv1
	}
	if fault := cfg.check(&h, &a.message); fault != nil {
		return fault
	}
	a.frame, a.inFrame, a.left, a.masked = h, true, h.Length, 0
	if h.OpCode.IsControl() {
		a.controlLen = 0
		return nil
	}
	if h.OpCode != Continuation {
		a.inMessage, a.opcode, a.compressed = true, h.OpCode, h.Rsv1
	}
	a.fragments++
	a.length += h.Length
	return nil
}

// unmask takes what b has of the payload of the frame and unmasks it in place.
func (a *assembly) unmask(b []byte) []byte {
	p := b[:min(int64(len(b)), a.left)]
	if a.frame.Masked {
		ws.Cipher(p, a.frame.Mask, a.masked)
		a.masked = (a.masked + len(p)) % len(a.frame.Mask)
	}
	a.left -= int64(len(p))
	a.inFrame = a.left > 0
	return p
}

// readPayload takes p, the next bytes of payload of the frame.
func (a *assembly) readPayload(p []byte, cfg *ReaderConfig) (ev Event, ok bool, fault *ProtocolError) {
	if a.frame.OpCode.IsControl() {
		ev, ok = a.readControl(p)
	} else {
		ev, ok, fault = a.readData(p, cfg)
	}
	a.delivered = ok && !a.inFrame && !a.inMessage
	return ev, ok, fault
}

func (a *assembly) readControl(p []byte) (Event, bool) {
	whole := !a.inFrame
	if !whole || a.controlLen > 0 {
		a.controlLen += copy(a.control[a.controlLen:], p)
		p = a.control[:a.controlLen]
	}
	return Event{OpCode: a.frame.OpCode, Fin: true, Payload: p}, whole
}

func (a *assembly) readData(p []byte, cfg *ReaderConfig) (Event, bool, *ProtocolError) {
	last := a.frame.Fin && !a.inFrame
	if a.opcode == Text && !a.compressed {
		if !a.text.Feed(p) || last && !a.text.Complete() {
			return Event{}, false, ErrInvalidUTF8 // §8.1
		}
	}
	ok := last
	switch {
	case a.streaming:
		ok = last || len(p) > 0
	case len(p) > 0:
		a.data = appendTo(a.data, p, cfg.maxMessage())
	}
	if !ok {
		return Event{}, false, nil
	}
	if a.data != nil {
		p = a.data.bytes
	}
	ev := Event{OpCode: a.opcode, Fin: last, Compressed: a.compressed, Payload: p}
	if last {
		a.message = message{}
	}
	return ev, true, nil
}
