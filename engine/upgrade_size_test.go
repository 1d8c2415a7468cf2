package engine

import (
	"testing"
	"unsafe"
)

// Every connection has an arrival, and OnUpgrade may keep it. The limit is a size class of the
// heap.
func TestAnArrivalFitsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(arrival{}); size > 256 {
		t.Errorf("an arrival takes %d bytes", size)
	} else {
		t.Logf("an arrival takes %d bytes", size)
	}
}
