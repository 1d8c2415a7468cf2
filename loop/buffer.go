package loop

import "github.com/gobwas/pool"

// Shared is an immutable run of bytes that any number of connections may have
// queued at once. A queue holds a reference to it, never a copy. The garbage
// collector takes it back when the last queue has sent it.
type Shared struct{ b []byte }

// NewShared wraps b, which from now on belongs to the Shared and must not be
// changed.
func NewShared(b []byte) *Shared { return &Shared{b: b} }

// Len returns the number of bytes.
func (s *Shared) Len() int { return len(s.b) }

// Bytes returns the bytes, which must not be changed.
func (s *Shared) Bytes() []byte { return s.b }

// AppendTo appends the bytes to dst and returns the longer slice.
func (s *Shared) AppendTo(dst []byte) []byte { return append(dst, s.b...) }

const (
	minChunk = 512
	maxChunk = 64 << 10
)

// chunk is a pooled buffer. Pools hold pointers: a slice put into a pool would
// be allocated anew each time.
type chunk struct{ b []byte }

var chunks = pool.New(minChunk, maxChunk)

// getChunk returns an empty chunk with room for n bytes, at most maxChunk.
func getChunk(n int) *chunk {
	n = min(max(n, minChunk), maxChunk)
	v, size := chunks.Get(n)
	if v != nil {
		return v.(*chunk)
	}
	return &chunk{b: make([]byte, 0, size)}
}

func putChunk(c *chunk) {
	Poison(c.b[:cap(c.b)])
	c.b = c.b[:0]
	chunks.Put(c, cap(c.b))
}

// roomyFor says whether a smaller chunk does for n bytes that stay for a while.
func (c *chunk) roomyFor(n int) bool { return cap(c.b) > minChunk && 2*n <= cap(c.b) }
