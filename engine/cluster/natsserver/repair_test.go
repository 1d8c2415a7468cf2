package natsserver

import (
	"testing"
	"time"
)

// JetStream does not begin anew every second where that does not help.
func TestRepairsBecomeSeldom(t *testing.T) {
	pause := repairEvery
	for range 10 {
		pause = nextPause(pause, pause)
	}
	if pause != repairSeldom {
		t.Errorf("%v after 10 in a row, want %v", pause, repairSeldom)
	}
	if pause = nextPause(pause, calm+time.Second); pause != repairEvery {
		t.Errorf("%v after a long time, want %v", pause, repairEvery)
	}
}
