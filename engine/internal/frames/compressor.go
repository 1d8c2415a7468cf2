package frames

import (
	"sync"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/codec"
)

// Variant is a way in which a message goes out: plain, or compressed within a
// window of some size.
type Variant uint8

const (
	Plain    Variant = 0
	Variants         = 1 + codec.MaxWindowBits - codec.MinWindowBits + 1
)

// VariantOf returns the variant for windows of 1 << windowBits bytes.
func VariantOf(windowBits int) Variant { return Variant(windowBits - codec.MinWindowBits + 1) }

// WindowBits undoes VariantOf.
func (v Variant) WindowBits() int { return int(v) + codec.MinWindowBits - 1 }

// MaxInContext is the size in bytes up to which a message refers to those before
// it. A longer one would gain a few per cent at most, as the context is 4 KiB, and
// is compressed before its turn comes: no loop waits for it.
const MaxInContext = 16 << 10

// Compressor compresses messages, and counts them.
type Compressor struct {
	MinFrame int // the size from which plain frames are compressed; immutable
	*Counts
}

// Counts are what compressors of one server count together. Any goroutine.
type Counts struct {
	InUse    [Variants]atomic.Int64 // connections with compression, by what they are sent
	Messages atomic.Uint64          // compressed
}

// inUse reports whether there is a connection with compression.
func (c *Counts) inUse() bool {
	for v := range c.InUse {
		if c.InUse[v].Load() > 0 {
			return true
		}
	}
	return false
}

// deflaters are borrowed for a message, by variant; Plain: unused.
var deflaters [Variants]sync.Pool

// Append appends p to dst, compressed as v has it. w is nil without context takeover.
func (c *Compressor) Append(dst, p []byte, v Variant, w *codec.Window) []byte {
	c.Messages.Add(1)
	d, _ := deflaters[v].Get().(*codec.Deflater)
	if d == nil {
		d = codec.NewDeflater(v.WindowBits())
	}
	dst = d.AppendMessage(dst, p, w)
	deflaters[v].Put(d)
	return dst
}
