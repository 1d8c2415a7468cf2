package codec

import (
	"math/bits"

	"github.com/gobwas/pool"
)

const (
	minBuffer       = 512
	maxPooledBuffer = 1 << 20
)

// buffers pools by exact capacity, in powers of two. What has another capacity
// is left to the garbage collector.
var buffers = pool.Custom(pool.WithLogSizeRange(minBuffer, maxPooledBuffer))

// buffer holds the bytes of a message that is not whole yet. The pool holds
// pointers, because a slice put into a pool is allocated anew.
type buffer struct{ bytes []byte }

func newBuffer(size int) *buffer {
	if pooled, _ := buffers.Get(size); pooled != nil {
		return pooled.(*buffer)
	}
	return &buffer{make([]byte, 0, size)}
}

func (b *buffer) release() {
	b.bytes = b.bytes[:0]
	buffers.Put(b, cap(b.bytes))
}

// appendTo appends p to old, which may be nil, and returns the buffer to go on
// with. No message is longer than limit. Sizes double and the last step goes from
// at most half of the limit to the limit itself, so all buffers a message passes
// through are together at most twice the limit.
func appendTo(old *buffer, p []byte, limit int64) *buffer {
	need := len(p)
	if old != nil {
		need += len(old.bytes)
		if need <= cap(old.bytes) {
			old.bytes = append(old.bytes, p...)
			return old
		}
	}
	size := max(minBuffer, 1<<bits.Len(uint(need-1)))
	if int64(size) > limit/2 {
		size = int(max(minBuffer, limit))
	}
	grown := newBuffer(size)
	if old != nil {
		grown.bytes = append(grown.bytes, old.bytes...)
		old.release()
	}
	grown.bytes = append(grown.bytes, p...)
	return grown
}
