package fanout

import (
	"slices"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// batch is messages as one variant has them, small frames put together.
type batch struct {
	frames     []*loop.Shared
	compressed bool // some of them are
}

const (
	// coalesceMax is the largest frame that is copied to be sent with others.
	coalesceMax = 8 << 10
	// coalesceTo is the size up to which frames are put together.
	coalesceTo = 64 << 10
)

// reset empties b and keeps its room.
func (b *batch) reset() {
	clear(b.frames)
	b.frames, b.compressed = b.frames[:0], false
}

// fill puts msgs into b as v has them, small neighbours put together.
func (b *batch) fill(msgs []*Message, v frames.Variant, c *frames.Compressor) {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < len(msgs) {
			frame := msgs[n].Frames.In(v, c)
			if frame.Len() > coalesceMax || size+frame.Len() > coalesceTo {
				break
			}
			size += frame.Len()
			n++
		}
		n = max(n, 1)
		b.add(msgs[:n], size, v, c)
		msgs = msgs[n:]
	}
}

// add adds msgs as one: one alone as it is, more of them copied, size bytes.
func (b *batch) add(msgs []*Message, size int, v frames.Variant, c *frames.Compressor) {
	one := msgs[0].Frames.In(v, c)
	if len(msgs) > 1 {
		together := make([]byte, 0, size)
		for _, msg := range msgs {
			together = msg.Frames.In(v, c).AppendTo(together)
		}
		one = loop.NewShared(together)
	}
	b.frames = append(b.frames, one)
	for _, msg := range msgs {
		b.compressed = b.compressed || msg.Frames.In(v, c) != msg.Frames.Plain()
	}
}

// list puts msgs into b as v has them, each by reference.
func (b *batch) list(msgs []*Message, v frames.Variant, c *frames.Compressor) {
	for _, msg := range msgs {
		frame := msg.Frames.In(v, c)
		b.frames = append(b.frames, frame)
		b.compressed = b.compressed || frame != msg.Frames.Plain()
	}
}

// selection is what the last subscriber of a variant got that was to get
// something else than all that is in flight in one part. Subscribers of the same
// topics follow one another often; they share one batch.
type selection struct {
	msgs   []*Message
	batch  batch
	shared bool // two subscribers in a row got msgs: batch has them put together
}

// reset empties x and keeps its room.
func (x *selection) reset() {
	clear(x.msgs)
	x.msgs, x.shared = x.msgs[:0], false
	x.batch.reset()
}

// of returns msgs as v has them.
func (x *selection) of(msgs []*Message, v frames.Variant, c *frames.Compressor) *batch {
	same := slices.Equal(x.msgs, msgs)
	switch {
	case !same:
		x.reset()
		x.msgs = append(x.msgs, msgs...)
		x.batch.list(msgs, v, c)
	case !x.shared:
		x.shared = true
		x.batch.reset()
		x.batch.fill(msgs, v, c)
	}
	return &x.batch
}
