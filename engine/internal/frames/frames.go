// Package frames encodes a message once for many connections of servers: plain, and
// compressed once for each window size in use.
package frames

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// Frames are one message for many connections of servers: plain, and compressed
// in each variant that is asked for. Immutable but for what is made when it
// is first asked for; any goroutine may ask.
type Frames struct {
	plain  loop.Shared
	packed atomic.Pointer[copies] // nil: none was asked for
}

// copies are the compressed variants of a message.
type copies struct {
	variants [Variants]packed // Plain: unused

	mu      sync.Mutex
	made    []*loop.Shared // guarded by mu; those that are not the plain frame
	keepers []Keeper       // guarded by mu; one may be there more than once
}

// Keeper counts the compressed copies of messages that it keeps. Its methods take no lock.
type Keeper interface {
	Refer(copy *loop.Shared)
	Forget(copy *loop.Shared)
}

// CopiesSize is what a message that may have compressed copies takes besides these.
const CopiesSize = int(unsafe.Sizeof(copies{}))

// packed is one variant of a message.
type packed struct {
	making sync.Mutex
	frame  atomic.Pointer[loop.Shared] // nil: not asked for yet
}

// New encodes payload. extra bytes besides live as long as the frames do.
func New(op codec.OpCode, payload []byte, extra int) *Frames {
	m := new(Frames)
	room := slices.Grow([]byte(nil), codec.MaxHeaderSize+len(payload)) // all that is allocated, so that it counts
	m.plain.Init(codec.AppendFrame(room, op, true, payload), extra)
	return m
}

// Plain returns the frame that is not compressed.
func (m *Frames) Plain() *loop.Shared { return &m.plain }

// Size is that of the plain frame: what counts where it is not known yet, or not
// the same for all, how the message goes out.
func (m *Frames) Size() int { return m.plain.Len() }

// In returns m as v has it: the plain frame for messages below the threshold of
// c, which is nil for plain connections only, and for those that do not shrink.
func (m *Frames) In(v Variant, c *Compressor) *loop.Shared {
	if v == Plain || m.plain.Len() < c.MinFrame {
		return &m.plain
	}
	all := m.copies()
	one := &all.variants[v]
	if frame := one.frame.Load(); frame != nil {
		return frame
	}
	one.making.Lock()
	defer one.making.Unlock()
	frame := one.frame.Load()
	if frame == nil {
		frame = m.pack(v, c)
		one.frame.Store(frame)
		if frame != &m.plain {
			all.add(frame)
		}
	}
	return frame
}

func (m *Frames) copies() *copies {
	all := m.packed.Load()
	if all == nil {
		m.packed.CompareAndSwap(nil, new(copies))
		all = m.packed.Load()
	}
	return all
}

func (all *copies) add(frame *loop.Shared) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.made = append(all.made, frame)
	for _, k := range all.keepers {
		k.Refer(frame)
	}
}

// MayPack reports whether a connection of c gets m compressed.
func (m *Frames) MayPack(c *Compressor) bool {
	return c != nil && m.plain.Len() >= c.MinFrame && (m.packed.Load() != nil || c.inUse())
}

// Keep has k count the compressed copies of m, those to come too, until Drop.
func (m *Frames) Keep(k Keeper) {
	all := m.copies()
	all.mu.Lock()
	defer all.mu.Unlock()
	all.keepers = append(all.keepers, k)
	for _, frame := range all.made {
		k.Refer(frame)
	}
}

// Drop takes a Keep back.
func (m *Frames) Drop(k Keeper) {
	all := m.copies()
	all.mu.Lock()
	defer all.mu.Unlock()
	i := slices.Index(all.keepers, k)
	all.keepers = slices.Delete(all.keepers, i, i+1)
	for _, frame := range all.made {
		k.Forget(frame)
	}
}

// PackAhead compresses a large message as the connections of c have it, whether or
// not they are subscribers: for whoever publishes it, before it takes the locks that
// their loops would wait for.
func (m *Frames) PackAhead(c *Compressor) {
	if c == nil || m.plain.Len() <= MaxInContext {
		return
	}
	for v := Plain + 1; v < Variants; v++ {
		if c.InUse[v].Load() > 0 {
			m.In(v, c)
		}
	}
}

// pack compresses m.
func (m *Frames) pack(v Variant, c *Compressor) *loop.Shared {
	buf := BorrowScratch()
	defer ReturnScratch(buf)
	whole := m.plain.Bytes()
	h, n, _ := codec.ParseHeader(whole) // New made it
	*buf = c.Append((*buf)[:0], whole[n:], v, nil)
	if len(*buf) >= len(whole)-n {
		return &m.plain
	}
	frame := make([]byte, 0, codec.MaxHeaderSize+len(*buf))
	return loop.NewShared(codec.AppendCompressedFrame(frame, h.OpCode, true, *buf))
}
