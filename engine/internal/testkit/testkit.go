// Package testkit is what the tests of several packages share. Only tests import it.
package testkit

import (
	"bytes"
	"testing"
	"time"
)

// Patience bounds every wait of a test: what never happens is a failure and no hang. No
// test depends on how long it is. On a machine that does much else, what takes a second
// may take a minute.
const Patience = 2 * time.Minute

// Within returns what arrives on ch, and fails the test if nothing does.
func Within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// Eventually waits until cond holds, for states that no channel announces.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not reached", what)
		}
	}
}

// Pattern returns n bytes that do not repeat with a power of two.
func Pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxy"), n/35+1)[:n]
}
