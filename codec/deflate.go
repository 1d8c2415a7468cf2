package codec

import (
	"math/bits"
	"sync"

	"github.com/klauspost/compress/flate"
)

// deflateTail is what a sync flush ends with, and a message does not: the length
// of an empty stored block (RFC 7692 §7.2.1).
const deflateTail = "\x00\x00\xff\xff"

// MaxSendWindowBits bounds how far a message refers back to those before it, to
// 4 KiB. They are read again for each message, so more takes more time, and it
// makes chat messages hardly smaller: 2.86 to one with 32 KiB, 2.82 with these.
const MaxSendWindowBits = 12

const (
	maxContext = 1 << MaxSendWindowBits

	// minSearched is the size in bytes from which package flate looks for matches
	// at all. To give it a context for less takes 5 µs for nothing.
	minSearched = 128
)

// Deflater compresses messages (RFC 7692 section 7.2.1). One goroutine at a time
// may use it, and one serves any number of connections: what a connection takes
// over from message to message is in its [Window].
type Deflater struct {
	writer  *flate.Writer
	out     appender
	context []byte // scratch
	reach   int    // immutable: 2^windowBits
}

// NewDeflater returns a Deflater that never refers back more than 2^windowBits
// bytes. windowBits outside of 8 to 15 is a mistake of the caller and panics.
func NewDeflater(windowBits int) *Deflater {
	checkWindowBits(windowBits)
	d := &Deflater{reach: 1 << windowBits}
	if windowBits == MaxWindowBits {
		d.writer, _ = flate.NewWriter(&d.out, flate.BestSpeed) // both are in range
	} else {
		d.writer, _ = flate.NewWriterWindow(&d.out, d.reach) // slower
	}
	return d
}

// AppendMessage appends p, compressed, to dst and returns the longer slice. It is
// the payload of one message with RSV1 set, without the 00 00 ff ff that the peer
// adds again; for an empty p it is one octet (section 7.2.3.6). p is neither
// changed nor kept, and must not overlap the room behind dst. Nothing is
// allocated when dst has room for 4 bytes more.
//
// window is nil without context takeover. With it, from [NewSendWindow], the
// message refers back to those before it, and is added: what was appended has to
// be sent, in this order, or the window be Reset.
func (d *Deflater) AppendMessage(dst, p []byte, window *Window) []byte {
	d.out.bytes = dst
	d.context = d.context[:0]
	if window != nil {
		if len(p) >= minSearched {
			n := min(d.reach, maxContext, len(window.ring))
			d.context = window.appendBack(d.context, n, n)
		}
		window.add(p)
	}
	d.writer.ResetDict(&d.out, d.context)
	d.write(d.writer, p)
	if stored := len(d.out.bytes)-len(deflateTail)-len(dst) > len(p); stored && len(p) >= minSearched && shortensByCodes(p) {
		d.out.bytes = d.out.bytes[:len(dst)]
		d.encode(p)
	}
	dst, d.out.bytes = d.out.bytes, nil
	return dst[:len(dst)-len(deflateTail)]
}

// encoders are borrowed by encode: few messages need one.
var encoders = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.HuffmanOnly) // it is in range
	return w
}}

// encode is AppendMessage of a message in which no match was found: package flate
// stores it as it is, though most texts, and base64, become shorter by codes for their
// bytes alone.
func (d *Deflater) encode(p []byte) {
	w := encoders.Get().(*flate.Writer)
	defer encoders.Put(w)
	w.Reset(&d.out)
	d.write(w, p)
}

// shortensByCodes guesses from the front of p, which has minSearched bytes at least,
// whether some bytes are much more frequent than others. 256 random bytes have 162
// different values; text and base64 have 30 to 70.
func shortensByCodes(p []byte) bool {
	var seen [256 / 64]uint64
	p = p[:min(len(p), 256)]
	for _, b := range p {
		seen[b/64] |= 1 << (b % 64)
	}
	values := 0
	for _, word := range seen {
		values += bits.OnesCount64(word)
	}
	return values < 64+len(p)/8
}

func (d *Deflater) write(w *flate.Writer, p []byte) {
	_, _ = w.Write(p) // an appender takes everything
	_ = w.Flush()
}

// appender is the io.Writer behind a Deflater.
type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}
