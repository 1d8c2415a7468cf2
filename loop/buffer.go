package loop

import (
	"sync/atomic"
	"unsafe"

	"github.com/gobwas/pool"
)

// Shared is an immutable run of bytes that any number of connections may have
// queued at once. A queue that waits for its socket holds a reference to it, or a
// copy where that is smaller. The garbage collector takes it back when the last
// queue has sent it.
type Shared struct {
	b      []byte                // immutable
	extra  int32                 // bytes that live as long; immutable once it is queued
	places atomic.Int32          // that count as holding it
	group  atomic.Pointer[Group] // whose ledger it is in: the first that held it, for good
}

// sharedSize is what a Shared costs besides its bytes, with a pointer of what it is
// part of.
const sharedSize = int(unsafe.Sizeof(Shared{}) + unsafe.Sizeof(uintptr(0)))

// NewShared wraps b, which from now on belongs to the Shared and must not be
// changed.
func NewShared(b []byte) *Shared { return &Shared{b: b} }

// Init is NewShared for a Shared that is part of something larger, of which extra
// bytes besides b live as long as it does.
func (s *Shared) Init(b []byte, extra int) { s.b, s.extra = b, int32(extra) }

// Cost returns the bytes of memory that s takes. Any goroutine.
func (s *Shared) Cost() int { return cap(s.b) + int(s.extra) + sharedSize }

// enter counts one more place of g that holds s.
func (s *Shared) enter(g *Group) {
	if s.places.Add(1) == 1 {
		s.group.CompareAndSwap(nil, g)
		s.group.Load().shared.Add(int64(s.Cost()))
	}
}

// leave takes an enter back.
func (s *Shared) leave() {
	if s.places.Add(-1) == 0 {
		s.group.Load().shared.Add(int64(-s.Cost()))
	}
}

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

// roomyFor reports whether a smaller chunk does for n bytes that stay for a while.
func (c *chunk) roomyFor(n int) bool { return cap(c.b) > minChunk && 2*n <= cap(c.b) }
