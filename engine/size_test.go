package engine

import (
	"testing"
	"unsafe"
)

// A WebSocket is the one object of an idle connection: what it is made of
// decides what a million of them cost. 240 bytes is a size class of the heap.
func TestWebSocketFitsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(WebSocket{}); size > 240 {
		t.Errorf("a WebSocket takes %d bytes, want at most 240", size)
	} else {
		t.Logf("%d bytes", size)
	}
}

// What an idle connection keeps besides: a value, a subscription. The allocator rounds
// up to 96 bytes.
func TestRareFieldsStayApart(t *testing.T) {
	if size := unsafe.Sizeof(extras{}); size > 96 {
		t.Errorf("the extras of a WebSocket have %d bytes", size)
	}
}
