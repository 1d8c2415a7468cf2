package codec

import "github.com/klauspost/compress/flate"

const deflateTail = "\x00\x00\xff\xff" // what a sync flush ends with, RFC 7692 §7.2.1

// maxDictionary is how far a message refers back into the ones before it.
const maxDictionary = 4 << 10

// Deflater compresses messages (RFC 7692 section 7.2.1). One goroutine at a time
// may use it, and one serves any number of connections: what a connection takes
// over from message to message is in its [Window].
type Deflater struct {
	writer     *flate.Writer
	out        appender
	dictionary []byte
	reach      int // immutable: 2^windowBits
}

// NewDeflater returns a Deflater that never refers back more than 2^windowBits
// bytes. windowBits outside of 8 to 15 is a mistake of the caller and panics.
func NewDeflater(windowBits int) *Deflater {
	checkWindowBits(windowBits)
	d := &Deflater{reach: 1 << windowBits}
	d.writer, _ = flate.NewWriterWindow(&d.out, d.reach) // every size here is in its range
	return d
}

// AppendMessage appends p, compressed, to dst and returns the longer slice. It is
// the payload of one message with RSV1 set, without the 00 00 ff ff that the peer
// adds again; for an empty p it is one octet (section 7.2.3.6). p is not kept.
//
// window is nil without context takeover. With it the message refers back to
// those before it, and is added: what was appended has to be sent, or the window
// be Reset.
func (d *Deflater) AppendMessage(dst, p []byte, window *Window) []byte {
	d.out.bytes = dst
	d.dictionary = d.dictionary[:0]
	if window != nil {
		back := min(d.reach, maxDictionary, len(window.ring))
		d.dictionary = window.appendBack(d.dictionary, back, back)
		window.add(p)
	}
	d.writer.ResetDict(&d.out, d.dictionary)
	d.writer.Write(p) // neither call fails: an appender takes everything
	d.writer.Flush()
	dst, d.out.bytes = d.out.bytes, nil
	return dst[:len(dst)-len(deflateTail)]
}

// Size returns about how many bytes of memory d holds.
func (d *Deflater) Size() int { return 1060<<10 + cap(d.dictionary) }

// appender is the io.Writer behind a Deflater.
type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}
