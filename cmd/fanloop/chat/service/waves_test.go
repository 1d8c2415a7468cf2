package service

import (
	"testing"
	"time"
)

// X49: who is closed by a node that ends comes back within a time that follows from how
// many there are.
func TestWaveFollowsConnections(t *testing.T) {
	for connections, want := range map[int]time.Duration{0: shortWave, 100: shortWave, 5000: 10 * time.Second, 1 << 30: longWave} {
		if got := waveOf(connections); got != want {
			t.Errorf("%d: %v, want %v", connections, got, want)
		}
	}
	for range 1000 {
		if d := delayWithin(10 * time.Second); d < 500 || d >= 10500 {
			t.Fatal(d)
		}
	}
}
