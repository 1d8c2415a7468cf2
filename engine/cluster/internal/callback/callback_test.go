package callback

import (
	"sync"
	"testing"
)

type caller struct{}

func (*caller) call(depth int, f func()) {
	if depth > 0 {
		deeper(depth, f)
		return
	}
	f()
}

func deeper(depth int, f func()) {
	if depth == 0 {
		f()
		return
	}
	deeper(depth-1, f)
}

func other(f func()) { f() }

// It is found at any depth, as a method value and a goroutine too, and not on another
// goroutine.
func TestIn(t *testing.T) {
	in := func() bool { return In(other, (*caller).call) }
	for _, depth := range []int{0, 1, 63, 64, 65, 200} {
		var got bool
		(&caller{}).call(depth, func() { got = in() })
		if !got {
			t.Errorf("not found at depth %d", depth)
		}
		deeper(depth, func() { got = in() })
		if got {
			t.Errorf("found at depth %d where it is not", depth)
		}
	}
	var work sync.WaitGroup
	call := (&caller{}).call
	var inside, outside bool
	work.Go(func() { call(0, func() { inside = in() }) })
	call(0, func() {
		work.Go(func() { outside = in() })
		work.Wait()
	})
	if !inside || outside {
		t.Errorf("inside %v, on another goroutine %v", inside, outside)
	}
	other(func() { inside = in() })
	if !inside {
		t.Error("the first of several is not found")
	}
}
