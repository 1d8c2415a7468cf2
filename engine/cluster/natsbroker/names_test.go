package natsbroker

import (
	"regexp"
	"testing"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

var oneToken = regexp.MustCompile(`^[A-Za-z0-9_=-]+$`)

// Every name is one token, and its own (C18).
func FuzzTokens(f *testing.F) {
	for i, name := range clustertest.Names {
		f.Add(name, clustertest.Names[(i+1)%len(clustertest.Names)])
	}
	f.Add("=41", "A")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a != "" && !oneToken.MatchString(tokenOf(a)) {
			t.Errorf("%q: %s", a, tokenOf(a))
		}
		if a != b && tokenOf(a) == tokenOf(b) {
			t.Errorf("%q and %q are %s", a, b, tokenOf(a))
		}
		if id := idOf(msgID(a, b), 1); id != b {
			t.Errorf("id %q became %q", b, id)
		}
	})
}

// The shard of a topic is for ever: what is stored is found by it.
func TestShardsStay(t *testing.T) {
	for name, want := range map[string]int{"room": 10, "a.b": 12, "😀": 8} {
		if got := shardOf(name, 16); got != want {
			t.Errorf("shard of %q is %d, was %d", name, got, want)
		}
	}
}
