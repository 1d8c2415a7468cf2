package cli_test

import (
	"runtime/debug"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

func TestCollectSoonerLeavesGOGCTheWord(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for _, c := range []struct {
		gogc string
		want int
	}{{"", 50}, {"100", 100}, {"off", 100}} {
		debug.SetGCPercent(100)
		t.Setenv("GOGC", c.gogc)
		cli.CollectSooner()
		if got := debug.SetGCPercent(100); got != c.want {
			t.Errorf("with GOGC=%q garbage is collected at %d %%, want %d", c.gogc, got, c.want)
		}
	}
}
