package codec

import (
	"math"
	"math/bits"
	"unsafe"
)

// InflateLimit bounds what a compressed message may become. The zero value has
// the default limits.
type InflateLimit struct {
	// MaxMessage is the largest message in bytes, inflated. 0 means 1 MiB, a
	// negative value means no limit.
	MaxMessage int64
	// MaxRatio is the most bytes one compressed byte may become, on the average
	// of what was read so far. It is looked at once more than 64 KiB came out. 0
	// means 200, a negative value means no limit.
	MaxRatio int
}

const (
	defaultMaxRatio = 200
	minScratch      = 4 << 10
	maxScratch      = 64 << 10
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
	source

	window   *Window
	limit    InflateLimit
	out      []byte // the message so far, or the end of it
	counted  int64  // bytes of the message that stood before out
	literals huffman
	distance huffman

	scratch []byte  // keeps its memory between messages, up to maxScratch
	large   *buffer // behind the last result if it was over maxScratch
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
	f.window, f.limit, f.counted = window, limit.withDefaults(), 0
	f.inScratch(0)
	fault := f.message(p)
	size := f.counted + int64(len(f.out))
	if fault == nil && size > maxScratch {
		fault = f.checkRatio(size)
	}
	if fault == nil && f.counted > 0 {
		f.large = newBuffer(bufferSize(size, f.limit.MaxMessage))
		f.out = f.large.bytes[:0:size]
		fault = f.message(p)
		f.large.bytes = f.out
	}
	out := f.out
	f.window, f.out, f.source = nil, nil, source{}
	if fault != nil {
		return nil, fault
	}
	if window != nil {
		window.add(out)
	}
	return out, nil
}

// Release gives back the memory behind the last result if it was over 64 KiB, as
// the next call of Inflate does.
func (f *Inflater) Release() {
	if f.large != nil {
		f.large.release()
		f.large = nil
	}
}

// Size returns how many bytes of memory f holds.
func (f *Inflater) Size() int {
	size := int(unsafe.Sizeof(*f)) + cap(f.scratch)
	if f.large != nil {
		size += cap(f.large.bytes)
	}
	return size
}

// bufferSize is the capacity for a message of size bytes: one that is pooled, or
// no more than what is needed.
func bufferSize(size, limit int64) int {
	if pooled := int64(1) << bits.Len64(uint64(size-1)); pooled <= min(limit, maxPooledBuffer) {
		return int(pooled)
	}
	return int(size)
}

// makeRoom is called for the byte after those that fill out.
func (f *Inflater) makeRoom() *ProtocolError {
	size := f.counted + int64(len(f.out))
	switch {
	case size >= f.limit.MaxMessage:
		return ErrMessageTooBig
	case cap(f.scratch) < maxScratch:
		f.scratch = append(make([]byte, 0, max(minScratch, 2*cap(f.scratch))), f.out...)
		f.inScratch(len(f.out))
		return nil
	}
	if fault := f.checkRatio(size); fault != nil {
		return fault
	}
	// From here on the message is only counted. No distance is over half of the
	// scratch, so the window is not needed any more.
	const kept = 1 << MaxWindowBits
	f.counted += int64(len(f.out) - kept)
	f.inScratch(copy(f.scratch[:kept], f.out[len(f.out)-kept:]))
	return nil
}

// inScratch makes out the first n bytes of the scratch, with room for what the
// limit leaves.
func (f *Inflater) inScratch(n int) {
	room := f.limit.MaxMessage - f.counted
	f.out = f.scratch[:n:min(int64(cap(f.scratch)), room)]
}

func (f *Inflater) checkRatio(size int64) *ProtocolError {
	if size > int64(f.consumed())*int64(f.limit.MaxRatio) {
		return ErrInflateRatio
	}
	return nil
}
