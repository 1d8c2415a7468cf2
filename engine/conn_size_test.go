package engine

import (
	"testing"
	"unsafe"
)

// What an idle connection is made of decides what a million of them cost: a
// WebSocket is one object, and extras come with a value. Each limit is a size class of the heap.
func TestObjectsOfAnIdleConnectionFitTheirSizeClasses(t *testing.T) {
	for name, c := range map[string]struct{ size, limit uintptr }{
		"WebSocket": {unsafe.Sizeof(WebSocket{}), 176},
		"extras":    {unsafe.Sizeof(extras{}), 128},
	} {
		if c.size > c.limit {
			t.Errorf("%s takes %d bytes, want at most %d", name, c.size, c.limit)
		} else {
			t.Logf("%s: %d bytes", name, c.size)
		}
	}
}

// What an idle connection keeps besides: a value, a subscription. The allocator rounds
// up to 96 bytes.
func TestRareFieldsStayApart(t *testing.T) {
	if size := unsafe.Sizeof(extras{}); size > 96 {
		t.Errorf("the extras of a WebSocket have %d bytes", size)
	}
}
