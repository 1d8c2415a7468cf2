package engine

import (
	"sync"
	"unsafe"

	"github.com/fanloop-go/fanloop/codec"
)

// takeover is what a connection keeps from message to message. Its mutex comes
// before the lock of conn, and whoever sends in context holds it from compressing a
// message to writing it: messages leave in the order in which they refer to each
// other. The loop takes it for a send of its own only. What it writes besides, which
// is frames that connections share and control frames, waits for no compression.
type takeover struct {
	order sync.Mutex
	sent  *codec.Window // guarded by order; nil: no takeover
	size  int           // guarded by order: what is counted of sent
	left  bool          // guarded by order: nothing more is counted

	received *codec.Window // owned by the loop; nil: no takeover
}

// takeoverSize is what a window takes besides its bytes.
const takeoverSize = int64(unsafe.Sizeof(takeover{})) + codec.WindowOverhead

// tallySent counts what the window to send holds. Under order, or before anybody
// else has x.
func (x *takeover) tallySent(c *compressor) {
	if now := windowSize(x.sent); now != x.size && !x.left {
		c.windows.Add(int64(now - x.size))
		x.size = now
	}
}

// leave stops counting the window to send, also while it is in use.
func (x *takeover) leave(c *compressor) {
	x.order.Lock()
	defer x.order.Unlock()
	c.windows.Add(-int64(x.size))
	x.left = true
}

// windowSize is what w takes; 0 for nil.
func windowSize(w *codec.Window) int {
	if w == nil {
		return 0
	}
	return int(unsafe.Sizeof(takeover{})) + w.Size()
}
