package engine

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// U08: what comes in time is progress from 1 KiB on, and the wait begins anew with
// it; less is none, however often it comes.
func TestPatienceEndsWithoutProgress(t *testing.T) {
	var steady patience
	for range 1000 {
		if steady.came(loop.MinProgress, 29*time.Second); steady.waited != 0 {
			t.Fatal("1 KiB is no progress")
		}
	}
	var pieces patience
	pieces.came(loop.MinProgress-1, time.Second)
	if pieces.came(0, time.Second); pieces.waited != 2*time.Second {
		t.Errorf("waited %v", pieces.waited)
	}
	if pieces.came(1, time.Second); pieces.waited != 0 || pieces.n != 0 {
		t.Errorf("1 KiB in pieces is no progress: %+v", pieces)
	}
	var drip patience
	for range 100 {
		drip.came(1, time.Second)
	}
	if drip.waited != 100*time.Second {
		t.Errorf("an octet a second is progress: %+v", drip)
	}
}
