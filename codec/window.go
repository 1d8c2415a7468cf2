package codec

// MinWindowBits and MaxWindowBits bound the size of an LZ77 window: 2^8 to 2^15
// bytes (RFC 7692 section 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// WindowOverhead is how many bytes of memory a Window takes besides what it holds.
const WindowOverhead = 48

const minWindow = 1 << MinWindowBits

// Window is the context one direction of one connection takes over from message
// to message (RFC 7692 section 7.1.1): the last 2^bits bytes before compression
// of the messages that were sent compressed. It takes memory as messages come,
// never all at once. A connection has one for what it receives, from [NewWindow],
// and another for what it sends, from [NewSendWindow]. One goroutine at a time may
// use a Window.
type Window struct {
	size int    // immutable: 2^bits
	ring []byte // grows to size
	next int    // where the oldest byte is, once len(ring) == size
}

// NewWindow returns an empty window of 2^bits bytes for [Inflater.Inflate]; bits
// is what was agreed on. Bits outside of 8 to 15 are a mistake of the caller and
// panic.
func NewWindow(bits int) *Window {
	checkWindowBits(bits)
	return &Window{size: 1 << bits}
}

// NewSendWindow returns an empty window for [Deflater.AppendMessage]. It holds
// what a Deflater refers back to: 2^bits bytes, at most 2^[MaxSendWindowBits]. Bits outside of
// 8 to 15 are a mistake of the caller and panic.
func NewSendWindow(bits int) *Window {
	checkWindowBits(bits)
	return &Window{size: min(1<<bits, maxContext)}
}

func checkWindowBits(bits int) {
	if bits < MinWindowBits || bits > MaxWindowBits {
		panic("codec: window bits must be 8 to 15")
	}
}

// Reset forgets all messages. A sender that compressed a message and did not send
// it calls this, because the peer does not have what the next message would
// refer back to. A receiver never does.
func (w *Window) Reset() { w.ring, w.next = w.ring[:0], 0 }

// Restart makes p all that w holds: a message that refers to nothing before it.
// A sender calls it for one that was compressed without w, once it is sent.
func (w *Window) Restart(p []byte) {
	w.Reset()
	w.add(p)
}

// Size returns how many bytes of memory w holds now; 0 for nil.
func (w *Window) Size() int {
	if w == nil {
		return 0
	}
	return WindowOverhead + cap(w.ring)
}

// add takes p, the message that follows those before.
func (w *Window) add(p []byte) {
	if len(p) > w.size {
		p = p[len(p)-w.size:]
	}
	if room := w.size - len(w.ring); room > 0 {
		n := min(room, len(p))
		w.grow(len(w.ring) + n)
		w.ring = append(w.ring, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(w.ring[w.next:], p)
		w.next = (w.next + n) % w.size
		p = p[n:]
	}
}

func (w *Window) grow(need int) {
	if need <= cap(w.ring) {
		return
	}
	size := max(cap(w.ring), minWindow)
	for size < need {
		size *= 2
	}
	w.ring = append(make([]byte, 0, size), w.ring...)
}

// appendBack appends n bytes to dst, of which the first is back bytes before the
// end; neither is more than there are.
func (w *Window) appendBack(dst []byte, back, n int) []byte {
	start := w.next + len(w.ring) - back
	if start >= len(w.ring) {
		start -= len(w.ring)
	}
	first := min(n, len(w.ring)-start)
	dst = append(dst, w.ring[start:start+first]...)
	return append(dst, w.ring[:n-first]...)
}
