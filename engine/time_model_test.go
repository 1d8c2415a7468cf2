//go:build linux

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit/leaks"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// timeVariable is for how long the models with time run, such as 2m.
const timeVariable = "FANLOOP_MODEL"

// T01-T08, T10, T11: with all timers on, default, short and odd, and peers that do
// anything at any moment: who reads and answers is never dropped, who does not is
// dropped in time, and what was accepted is delivered or reported. The test drives
// the clock. Beside other tests it plays for a moment, since it has to know what the
// kernel and other goroutines are about; make timers plays it alone, for minutes.
func TestTimeModel(t *testing.T) {
	needs(t, systemDescriptors)
	playWorlds(t, time.Second, func(w *world) {
		w.limits = randomLimits(w.rng, 100*time.Millisecond, 4*time.Second)
		w.clock = drive(w.t, w.srv)
	})
}

// The same with timers of some milliseconds, which fire while everything else goes
// on: what was accepted is delivered or reported, once, in order, and nothing is
// left. Who is dropped when is up to the machine.
func TestTimeModelInRealTime(t *testing.T) {
	playWorlds(t, 2*time.Second, func(w *world) {
		w.limits = randomLimits(w.rng, 20*time.Millisecond, 100*time.Millisecond)
		w.limits.HandshakeTimeout = patience
		w.limits.CloseTimeout = 20*time.Millisecond + time.Duration(w.rng.IntN(80))*time.Millisecond
		w.counts = false
	})
}

// playWorlds plays worlds for that long, or the one whose seed the environment names.
func playWorlds(t *testing.T, d time.Duration, set func(*world)) {
	if s := os.Getenv(timeVariable); s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	total := played{ends: make(map[string]int)}
	start := time.Now()
	for seed := range seeds.From(t) {
		if time.Since(start) >= d || t.Failed() {
			break
		}
		playWorld(t, seed, set, &total)
	}
	t.Logf("%d servers, %d moments, %d connections ended with %v", total.worlds, total.moments, total.connections, total.ends)
}

// played is what was played, so that one can see what was not.
type played struct {
	worlds, connections, moments int
	ends                         map[string]int // by cause
}

// playWorld plays one world, about which its seed decides.
func playWorld(t *testing.T, seed uint64, set func(*world), total *played) {
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		seeds.Explain(t, seed)
		before := leaks.OpenDescriptors()
		w := newWorld(t, seed)
		set(w)
		w.open()
		w.play()
		w.nothingLeft(before)
		total.worlds++
		total.moments += w.moments
		total.connections += len(w.subjects)
		for _, s := range w.subjects {
			total.ends[s.cause]++
		}
	})
}

// randomLimits are some that Validate accepts: times are the default, off, or between
// short and long.
func randomLimits(rng *rand.Rand, short, long time.Duration) (l engine.Limits) {
	between := func(percent int, others ...time.Duration) time.Duration {
		if rng.IntN(100) < percent {
			return short + time.Duration(rng.Int64N(int64(long-short)>>rng.IntN(3)))
		}
		return others[rng.IntN(len(others))]
	}
	size := func(others ...int) int {
		if rng.IntN(2) == 0 {
			return 1 << rng.IntN(21)
		}
		return others[rng.IntN(len(others))]
	}
	for {
		l = engine.Limits{
			PingInterval: between(60, 0, engine.NoLimit), PongTimeout: between(30, 0),
			WriteTimeout: between(60, 0, engine.NoLimit), ReadTimeout: between(60, 0, engine.NoLimit),
			IdleTimeout: between(25, 0, engine.NoLimit), CloseTimeout: between(60, 0), HandshakeTimeout: between(30, 0),
			MaxQueued: size(0, 0, engine.NoLimit), HighWater: size(0), LowWater: size(0),
			MaxControlRate: []int{0, 0, engine.NoLimit, 20, 50}[rng.IntN(5)],
		}
		if rng.IntN(8) == 0 {
			l.MaxMemory = 1 << 20
		}
		if rng.IntN(4) == 0 {
			l.LowWater = l.HighWater
		}
		if l.Validate() == nil {
			return l
		}
	}
}
