package frames

import "sync"

// scratch holds masked and compressed frames on their way to the outbox.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const scratchKept = 64 << 10

// BorrowScratch returns a buffer for one frame. Give it back by ReturnScratch.
func BorrowScratch() *[]byte { return scratch.Get().(*[]byte) }

// ReturnScratch takes a buffer back.
func ReturnScratch(buf *[]byte) {
	if cap(*buf) <= scratchKept {
		scratch.Put(buf)
	}
}
