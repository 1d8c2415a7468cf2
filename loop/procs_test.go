package loop

import (
	"log/slog"
	"os"
	"runtime"
	"testing"
)

// defaultProcs puts GOMAXPROCS back to the runtime's default, and returns it.
// After the test it is what it was before.
func defaultProcs(t *testing.T) int {
	t.Helper()
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	if os.Getenv("GOMAXPROCS") != "" {
		t.Setenv("GOMAXPROCS", "")
	}
	runtime.SetDefaultGOMAXPROCS()
	return runtime.GOMAXPROCS(0)
}

func wantProcs(t *testing.T, want int, when string) {
	t.Helper()
	if n := runtime.GOMAXPROCS(0); n != want {
		t.Errorf("%s: GOMAXPROCS is %d, want %d", when, n, want)
	}
}

// F-g: GOMAXPROCS is one more than the loops of all groups, while they run.
func TestLoopsRaiseGOMAXPROCSForAllGroups(t *testing.T) {
	n := defaultProcs(t)
	start(t, Config{Loops: n + 2, KeepGOMAXPROCS: true})
	wantProcs(t, n, "a group that keeps it")
	one := start(t, Config{Loops: 1})
	wantProcs(t, n+4, "one loop besides the others")
	two := start(t, Config{Loops: 2})
	wantProcs(t, n+6, "two more")
	stop(t, two)
	stop(t, one)
	wantProcs(t, n+6, "as many loops as it was found with still run")
}

func TestGOMAXPROCSIsTheDefaultAgainAfterTheLastLoop(t *testing.T) {
	n := defaultProcs(t)
	g := start(t, Config{Loops: n})
	wantProcs(t, n+1, "a loop for each")
	stop(t, g)
	wantProcs(t, n, "no loop")
}

// F-g: what the program or its environment chose stays, and is complained about
// once.
func TestGOMAXPROCSThatWasSetOnPurposeStays(t *testing.T) {
	for name, set := range map[string]func(t *testing.T, n int) int{
		"program":                func(_ *testing.T, n int) int { runtime.GOMAXPROCS(n + 1); return n + 1 },
		"environment":            func(t *testing.T, n int) int { t.Setenv("GOMAXPROCS", "1"); return n },
		"program, after a start": func(t *testing.T, n int) int { start(t, Config{Loops: n}); runtime.GOMAXPROCS(n + 2); return n + 2 },
	} {
		t.Run(name, func(t *testing.T) {
			want := set(t, defaultProcs(t))
			procs.logged = false
			log := &record{}
			for range 2 {
				g := start(t, Config{Loops: want + 1, Logger: slog.New(log)})
				wantProcs(t, want, "while it runs")
				stop(t, g)
			}
			wantProcs(t, want, "afterwards")
			if log.count() != 1 {
				t.Errorf("%d lines were logged, want one", log.count())
			}
		})
	}
}

// F-g: what a container or the program allows, and not the number of CPUs.
func TestLoopsDefaultToGOMAXPROCS(t *testing.T) {
	n := defaultProcs(t)
	for range 2 { // the first one raises it
		g, err := Start(Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer stop(t, g)
		if got := len(g.Loops()); got != n {
			t.Errorf("%d loops by default, want %d", got, n)
		}
	}
	runtime.GOMAXPROCS(n + 7)
	g, err := Start(Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, g)
	if got := len(g.Loops()); got != n+7 {
		t.Errorf("%d loops by default, want %d", got, n+7)
	}
}
