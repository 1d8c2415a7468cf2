package codec

import (
	"io"
	"math"
	"math/bits"

	"github.com/klauspost/compress/flate"
)

// InflateLimit bounds what a compressed message may become. The zero value has
// the default limits.
type InflateLimit struct {
	// MaxMessage is the largest message in bytes, inflated. 0 means 1 MiB, a
	// negative value means no limit.
	MaxMessage int64
	// MaxRatio is the most bytes one compressed byte may become, on the average
	// of what was read so far. It is looked at once more than 1 MiB came out: what
	// is shorter may be honest zeros or blanks. 0 means 200, a negative value means
	// no limit.
	MaxRatio int
}

const (
	defaultMaxRatio = 200
	ratioFrom       = 1 << 20 // bytes of a message that MaxRatio does not look at
	minScratch      = 4 << 10
	maxScratch      = 64 << 10
	maxWindow       = 1 << MaxWindowBits
)

func (l InflateLimit) withDefaults() InflateLimit {
	switch {
	case l.MaxMessage == 0:
		l.MaxMessage = defaultMaxMessage
	case l.MaxMessage < 0:
		l.MaxMessage = math.MaxInt64
	}
	switch {
	case l.MaxRatio == 0:
		l.MaxRatio = defaultMaxRatio
	case l.MaxRatio < 0:
		l.MaxRatio = math.MaxInt32
	}
	return l
}

// Inflater inflates messages (RFC 7692 section 7.2.2). One goroutine at a time
// may use it, and one serves any number of connections: what a connection takes
// over from message to message is in its [Window].
//
// A message up to 64 KiB is inflated into memory that is used again for the next
// one. A longer one is inflated twice: once to learn its size within that memory
// and check it against the limits, and again into a buffer of that size. So a
// deflate bomb costs no more memory than a small message, and what is within the
// limits costs its own size.
type Inflater struct {
	source  source
	reader  resetReader // nil until it is needed
	window  *Window     // of the message under way
	context []byte      // scratch for what stands before it

	scratch []byte  // keeps its memory between messages, up to maxScratch
	large   *buffer // behind the last result if it was over maxScratch
}

// resetReader is what package flate returns.
type resetReader interface {
	io.Reader
	flate.Resetter
}

// NewInflater returns an Inflater. It takes memory as it is used.
func NewInflater() *Inflater { return new(Inflater) }

// Inflate inflates p, the payload of one message with RSV1 set, put together from
// its fragments. p is not changed and not kept. The result is borrowed until the
// next call of Inflate or Release, and may be written to. It is not checked for
// UTF-8: that is for the caller to do with text (RFC 6455 section 8.1).
//
// window is nil without context takeover. With it the message may refer back to
// those before it, and is added. A distance that goes back beyond what the window
// holds is refused; one beyond the agreed size that stays inside of the message
// is not.
//
// The error is a *ProtocolError: [ErrInvalidDeflate] (1007) for data that is cut
// off or garbage, [ErrMessageTooBig] or [ErrInflateRatio] (1009) for what goes
// over a limit, found when it does.
func (f *Inflater) Inflate(p []byte, window *Window, limit InflateLimit) ([]byte, error) {
	f.Release()
	defer func() { f.window, f.source = nil, source{} }()
	f.begin(p, window)
	size, fault := f.count(limit.withDefaults())
	if fault != nil {
		return nil, fault
	}
	out := f.scratch[:min(size, maxScratch)]
	if size > maxScratch {
		f.large = newBuffer(bufferSize(size, limit.withDefaults().MaxMessage))
		f.large.bytes = f.large.bytes[:size]
		out = f.large.bytes
		f.begin(p, window)
		for n := 0; n < len(out); {
			m, err := f.read(out, n)
			if err != nil {
				return nil, ErrInvalidDeflate // it did not happen the first time
			}
			n += m
		}
	}
	if window != nil {
		window.add(out)
	}
	return out, nil
}

// begin starts to inflate p, from its first byte.
func (f *Inflater) begin(p []byte, window *Window) {
	f.source, f.window = source{p: p}, window
	f.follow(nil)
}

// follow makes the reader go on behind out, the message so far.
func (f *Inflater) follow(out []byte) {
	out = out[max(0, len(out)-maxWindow):]
	f.context = f.context[:0]
	if f.window != nil {
		n := min(len(f.window.ring), maxWindow-len(out))
		f.context = f.window.appendBack(f.context, n, n)
	}
	f.context = append(f.context, out...)
	if f.reader == nil {
		f.reader = flate.NewReader(&f.source).(resetReader)
	}
	_ = f.reader.Reset(&f.source, f.context) // it never fails
}

// read inflates into out[n:], behind the message so far or the end of it. The
// error is io.EOF at the end of the message.
func (f *Inflater) read(out []byte, n int) (int, error) {
	for {
		m, err := f.reader.Read(out[n:])
		switch {
		case m > 0: // the error comes again
			return m, nil
		case err == io.EOF && f.source.at < len(f.source.p): // §7.2.1: blocks may follow a final one
			f.follow(out[:n])
		case f.source.flushed && err != nil || err == io.EOF && f.source.at == len(f.source.p):
			return 0, io.EOF
		case err != nil:
			return 0, ErrInvalidDeflate
		}
	}
}

// count inflates the message into the scratch. Of a message that is longer, the
// scratch holds the end of some part in the end.
func (f *Inflater) count(limit InflateLimit) (size int64, fault *ProtocolError) {
	for n := 0; ; {
		if n == len(f.scratch) {
			n = f.makeRoom()
		}
		m, err := f.read(f.scratch, n)
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return 0, ErrInvalidDeflate
		}
		n += m
		size += int64(m)
		switch {
		case size > limit.MaxMessage:
			return 0, ErrMessageTooBig
		case size > ratioFrom && size > int64(min(f.source.at, len(f.source.p)))*int64(limit.MaxRatio):
			return 0, ErrInflateRatio
		}
	}
}

// makeRoom is called when the scratch is full. It returns how much of it still
// is.
func (f *Inflater) makeRoom() int {
	n := len(f.scratch)
	if n <= maxScratch/2 {
		size := max(minScratch, 2*n)
		if size == maxScratch {
			size++ // to see that a message is longer
		}
		grown := make([]byte, size)
		copy(grown, f.scratch)
		f.scratch = grown
		return n
	}
	return copy(f.scratch, f.scratch[n-maxWindow:]) // blocks after a final one may refer to it
}

// Release gives back the memory behind the last result if it was over 64 KiB, as
// the next call of Inflate does.
func (f *Inflater) Release() {
	if f.large != nil {
		f.large.release()
		f.large = nil
	}
}

// bufferSize is the capacity for a message of size bytes: one that is pooled, or
// no more than what is needed.
func bufferSize(size, limit int64) int {
	if pooled := int64(1) << bits.Len64(uint64(size-1)); pooled <= min(limit, maxPooledBuffer) {
		return int(pooled)
	}
	return int(size)
}

// source is a compressed message as package flate reads it, with the octets at
// its end that were not sent (RFC 7692 §7.2.1). They are the length of a stored
// block and good for nothing else: a message that is cut off must not be made up
// for by them. flate asks for the length of a stored block by one Read of its 4
// octets, less those it has already got by ReadByte; for the content by further
// ones; and for everything else by ReadByte, up to two octets ahead.
type source struct {
	p       []byte
	at      int  // of p, and the octets behind it
	stored  int  // bytes of content of a stored block that are still to come
	flushed bool // the octets that were not sent were the length of a block
}

// ReadByte implements io.ByteReader.
func (s *source) ReadByte() (byte, error) {
	s.at++
	if s.at <= len(s.p) {
		return s.p[s.at-1], nil
	}
	if behind := s.at - 1 - len(s.p); behind < len(deflateTail) {
		return deflateTail[behind], nil
	}
	s.at--
	return 0, io.EOF
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	if s.stored == 0 {
		return s.readLength(b)
	}
	if s.at >= len(s.p) {
		return 0, io.EOF
	}
	n := copy(b, s.p[s.at:])
	s.at += n
	s.stored -= n
	return n, nil
}

func (s *source) readLength(b []byte) (int, error) {
	begin := s.at + len(b) - len(deflateTail)
	switch {
	case begin == len(s.p):
		s.flushed = true
		copy(b, deflateTail[len(deflateTail)-len(b):])
	case begin+len(deflateTail) <= len(s.p):
		s.stored = int(s.p[begin]) | int(s.p[begin+1])<<8
		copy(b, s.p[s.at:])
	default:
		return 0, io.EOF
	}
	s.at += len(b)
	return len(b), nil
}
