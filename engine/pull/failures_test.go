package pull

import (
	"testing"
	"time"
)

func TestOneFailureASecondPasses(t *testing.T) {
	var f failures
	start := time.Now()
	for i, c := range []struct {
		after      time.Duration
		ok         bool
		suppressed int
	}{{0, true, 0}, {1, false, 0}, {time.Second - 1, false, 0}, {time.Second, true, 2}, {2 * time.Second, true, 0}} {
		if n, ok := f.pass(start.Add(c.after)); ok != c.ok || n != c.suppressed {
			t.Errorf("%d: %v with %d suppressed, want %v with %d", i, ok, n, c.ok, c.suppressed)
		}
	}
}
