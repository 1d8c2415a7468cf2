// Package seeds gives tests of random runs their seeds. Only tests import it.
//
// A test plays the same seeds each time, unless the environment asks for others:
//
//	FANLOOP_SEED=12      plays seed 12 alone
//	FANLOOP_SEED=random  begins with a random one
//	FANLOOP_ROUNDS=1000  plays as many seeds, one after the other
//
// A test that fails logs the seed.
package seeds

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

const (
	seedVariable   = "FANLOOP_SEED"
	roundsVariable = "FANLOOP_ROUNDS"
)

// Each plays so many seeds, each in a subtest, until one fails.
func Each(t *testing.T, rounds int, play func(t *testing.T, seed uint64)) {
	t.Helper()
	if n := os.Getenv(roundsVariable); n != "" {
		rounds = int(number(t, roundsVariable, n))
	}
	for seed := range From(t) {
		if rounds--; rounds < 0 || t.Failed() {
			return
		}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			Explain(t, seed)
			play(t, seed)
		})
	}
}

// First returns the seed of a test that plays one, or counts on from it.
func First(t testing.TB) uint64 {
	t.Helper()
	first, _ := begin(t)
	Explain(t, first)
	return first
}

// From yields seeds to a test that says itself when they are enough.
func From(t testing.TB) iter.Seq[uint64] {
	t.Helper()
	seed, only := begin(t)
	return func(yield func(uint64) bool) {
		for yield(seed) && !only {
			seed++
		}
	}
}

// Explain logs how to play a seed again if t fails.
func Explain(t testing.TB, seed uint64) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with %s=%d", seedVariable, seed)
		}
	})
}

// begin returns the first seed; only says that it is the only one.
func begin(t testing.TB) (first uint64, only bool) {
	t.Helper()
	switch s := os.Getenv(seedVariable); s {
	case "":
		return 1, false
	case "random":
		return rand.Uint64N(1 << 40), false
	default:
		return number(t, seedVariable, s), true
	}
}

func number(t testing.TB, variable, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: want a number", variable, s)
	}
	return n
}
