package fanout

import (
	"testing"
	"unsafe"
)

// What an idle subscriber costs besides its connection. Each limit is a size class of
// the heap.
func TestObjectsOfASubscriberFitTheirSizeClasses(t *testing.T) {
	for name, c := range map[string]struct{ size, limit uintptr }{
		"Member":       {unsafe.Sizeof(Member{}), 64},
		"subscription": {unsafe.Sizeof(subscription{}), 48},
	} {
		if c.size > c.limit {
			t.Errorf("%s takes %d bytes, want at most %d", name, c.size, c.limit)
		} else {
			t.Logf("%s: %d bytes", name, c.size)
		}
	}
}
