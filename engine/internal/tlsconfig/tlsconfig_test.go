package tlsconfig

import (
	"crypto/tls"
	"testing"
	"time"
)

// A connection holds its configuration, so there are few copies; they are made
// anew, for keys that are set on the original.
func TestConfigsForClientsAreAdaptedOnceAMinute(t *testing.T) {
	now := time.Now()
	cs := &clientConfigs{protos: NoHTTP2, now: func() time.Time { return now }}
	a, b := &tls.Config{NextProtos: []string{"h2", "x"}}, new(tls.Config)
	first, other := cs.adapted(a), cs.adapted(b)
	if len(first.NextProtos) != 1 || first.NextProtos[0] != "x" || len(a.NextProtos) != 2 {
		t.Errorf("%q was made of %q", first.NextProtos, a.NextProtos)
	}
	now = now.Add(clientConfigAge - 1)
	if cs.adapted(a) != first || cs.adapted(b) != other || first == other {
		t.Error("a configuration was copied twice")
	}
	now = now.Add(1)
	if cs.adapted(a) == first || cs.adapted(b) == other {
		t.Error("a copy is older than a minute")
	}
	for range 3 * maxClientConfigs {
		cs.adapted(new(tls.Config))
	}
	if n := len(cs.known); n > maxClientConfigs {
		t.Errorf("%d configurations are remembered", n)
	}
}
