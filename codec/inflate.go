package codec

import (
	"io"
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
	// of what was read so far. It is looked at once more than 64 KiB came out: what
	// is shorter may be honest zeros or blanks. 0 or less means no limit.
	MaxRatio int
}

const (
	ratioFrom  = 64 << 10 // bytes of a message that MaxRatio does not look at
	minScratch = 4 << 10
	maxScratch = 64 << 10
	topScratch = 72 << 10 // what the allocator makes of a byte more, to see that a message is longer
	maxWindow  = 1 << MaxWindowBits
)

func (l InflateLimit) withDefaults() InflateLimit {
	switch {
	case l.MaxMessage == 0:
		l.MaxMessage = defaultMaxMessage
	case l.MaxMessage < 0:
		l.MaxMessage = math.MaxInt64
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = math.MaxInt32
	}
	return l
}

// Inflater inflates messages (RFC 7692 section 7.2.2). One goroutine at a time
// may use it, and one serves any number of connections: what a connection takes
// over from message to message is in its [Window].
//
// A message up to 64 KiB is inflated into memory that is used again for the next
// one, a longer one into a pooled buffer: of 1 MiB, or the largest power of two
// within the limit. A message that is longer still is counted against the limits
// and inflated again, into a buffer of its size. So a deflate bomb costs no more
// memory than the limit, nor than 1 MiB, and what is within the limits costs its
// own size.
type Inflater struct {
	decoder decoder

	scratch []byte  // keeps its memory between messages, up to maxScratch
	large   *buffer // behind the message under way, or the last one, over maxScratch

	// Of the message under way.
	window *Window
	limit  InflateLimit
	pass   pass
	size   int64  // of what came out
	out    []byte // where it goes now
	n      int    // bytes of out that are filled
}

// pass is what is done with the bytes that come out.
type pass uint8

const (
	collect pass = iota // they are kept, from the first on
	count               // they are too many to be kept, and counted
	fill                // they are counted, and come again into a buffer of their size
)

// NewInflater returns an Inflater. It takes memory as it is used.
func NewInflater() *Inflater { return new(Inflater) }

// Inflate inflates p, the payload of one message with RSV1 set, put together from
// its fragments. p is not changed and not kept. The result is borrowed until the
// next call of Inflate, Begin or Release, and may be written to. It is not checked
// for UTF-8: that is for the caller to do with text (RFC 6455 section 8.1).
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
	f.Begin(window, limit)
	if _, _, err := f.Continue(p, math.MaxInt64); err != nil {
		return nil, err
	}
	return f.Message(), nil
}

// Begin begins a message as Inflate does, for a caller that inflates it in parts.
// A message that was begun and not finished is dropped: window does not have it.
func (f *Inflater) Begin(window *Window, limit InflateLimit) {
	f.Release()
	f.decoder.reset()
	f.window, f.limit = window, limit.withDefaults()
	f.pass, f.size = collect, 0
	f.out, f.n = f.scratch, 0
}

// Continue inflates more of p, the same message in every call, though it may have
// moved in memory, until it has spent most. It returns what it spent, which is more
// by little, and whether the message is whole: then Message returns it. After an
// error, which is that of Inflate, begin the next one.
func (f *Inflater) Continue(p []byte, most Effort) (spent Effort, whole bool, err error) {
	f.decoder.in = p
	for spent < most {
		n, err := f.step(most - spent)
		spent += n
		switch {
		case err == io.EOF:
			f.finish()
			return spent, true, nil
		case err != nil:
			f.Release()
			return spent, false, err
		}
	}
	f.decoder.in = nil
	return spent, false, nil
}

// Message returns the message that Continue found to be whole, borrowed as the
// result of Inflate is.
func (f *Inflater) Message() []byte { return f.out[:f.n] }

// finish ends a message that is whole.
func (f *Inflater) finish() {
	if f.window != nil {
		f.window.add(f.Message())
	}
	f.window, f.decoder.in = nil, nil
}

// Release gives back the memory behind the last result if it was over 64 KiB, as
// the next call of Inflate does, and drops a message that is not whole.
func (f *Inflater) Release() {
	f.forget()
	f.window, f.decoder.in, f.out, f.n = nil, nil, nil, 0
}

// Size returns how many bytes of memory f holds.
func (f *Inflater) Size() int {
	size := int(unsafe.Sizeof(*f)) + cap(f.scratch)
	if f.large != nil {
		size += cap(f.large.bytes)
	}
	return size
}

// step inflates a part. The error is io.EOF when the message is whole.
func (f *Inflater) step(most Effort) (Effort, error) {
	if f.n == len(f.out) {
		if f.pass == fill {
			return 0, io.EOF
		}
		f.makeRoom()
	}
	filled, spent, err := f.decoder.run(f.out[:f.stop()], f.n, f.window, most)
	if f.pass != fill {
		f.size += int64(filled - f.n)
	}
	if f.pass == count && filled > f.n {
		f.forget()
	}
	f.n = filled
	whole := f.decoder.state == atEnd
	switch {
	case err != nil:
		return spent, err
	case f.pass == fill:
		return spent, nil
	case whole || f.size%checkEvery == 0 || f.size > f.limit.MaxMessage:
		err = f.check()
	}
	if err != nil || !whole {
		return spent, err
	}
	return spent, f.end()
}

// checkEvery is how many bytes come out between two looks at the ratio: the same
// ones however a message is cut into parts.
const checkEvery = 32 << 10

// stop returns how far out may be filled until the limits are looked at.
func (f *Inflater) stop() int {
	if f.pass == fill {
		return len(f.out)
	}
	room := 1 + min(checkEvery-1-f.size%checkEvery, f.limit.MaxMessage-f.size)
	return min(len(f.out), f.n+int(room))
}

// check looks at the limits.
func (f *Inflater) check() error {
	switch {
	case f.size > f.limit.MaxMessage:
		return ErrMessageTooBig
	case f.size > ratioFrom && f.size > int64(f.decoder.used())*int64(f.limit.MaxRatio):
		return ErrInflateRatio
	}
	return nil
}

// end is the end of the message in the first pass over it. The error is nil if there
// is another pass.
func (f *Inflater) end() error {
	switch {
	case f.pass == collect:
		return io.EOF
	case f.large != nil: // it has just the size of the buffer
		f.out, f.n = f.large.bytes, len(f.large.bytes)
		return io.EOF
	}
	f.large = newBuffer(bufferSize(f.size, f.limit.MaxMessage))
	f.large.bytes = f.large.bytes[:f.size]
	f.pass, f.out, f.n = fill, f.large.bytes, 0
	p := f.decoder.in
	f.decoder.reset()
	f.decoder.in = p
	return nil
}

// forget gives back the buffer of a message that turns out to be longer.
func (f *Inflater) forget() {
	if f.large != nil {
		f.large.release()
		f.large = nil
	}
}

// makeRoom is called when out is full: what comes next goes to a larger buffer, or
// over what the decoder can do without.
func (f *Inflater) makeRoom() {
	switch {
	case f.pass == collect && f.n <= maxScratch/2:
		size := max(minScratch, 2*f.n)
		if size == maxScratch {
			size = topScratch
		}
		grown := make([]byte, size)
		copy(grown, f.out)
		f.scratch, f.out = grown, grown
	case f.pass == collect && f.large == nil && pooledWithin(f.limit.MaxMessage) > f.n:
		f.large = newBuffer(pooledWithin(f.limit.MaxMessage))
		f.large.bytes = f.large.bytes[:cap(f.large.bytes)]
		copy(f.large.bytes, f.out)
		f.out = f.large.bytes
	default:
		f.pass = count
		f.n = copy(f.scratch, f.out[f.n-maxWindow:f.n]) // what comes may refer to it
		f.out = f.scratch
	}
}

// pooledWithin is the capacity of the largest pooled buffer within limit; less
// than that of the scratch if it is no use.
func pooledWithin(limit int64) int {
	return 1 << (bits.Len64(uint64(min(limit, maxPooledBuffer))) - 1)
}

// bufferSize is the capacity for a message of size bytes: one that is pooled, or
// no more than what is needed.
func bufferSize(size, limit int64) int {
	if pooled := int64(1) << bits.Len64(uint64(size-1)); pooled <= min(limit, maxPooledBuffer) {
		return int(pooled)
	}
	return int(size)
}
