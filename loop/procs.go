package loop

import (
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
)

// processors are those of the Go scheduler (GOMAXPROCS), of which each loop of
// the process takes one: it makes system calls without giving it up, so that
// other goroutines and the garbage collector need one more.
type processors struct {
	mu     sync.Mutex
	loops  int // that run, of all groups
	own    int // GOMAXPROCS as it was found, and is to be again; 0: it was not raised
	raised int // what it was raised to: with another value it is somebody else's again
	theirs int // a value that the program or the environment set; 0: none that is known
	logged bool
}

var procs processors

// available is GOMAXPROCS without what loops added.
func (p *processors) available() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.raisedLocked() {
		return p.own
	}
	return runtime.GOMAXPROCS(0)
}

// add counts n loops that are about to run, and raises GOMAXPROCS to one more
// than run then, unless keep says not to, or it was set on purpose.
func (p *processors) add(n int, keep bool, log *slog.Logger) {
	tell := func() {}
	defer func() { tell() }() // not under the lock
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loops += n
	now, want := runtime.GOMAXPROCS(0), p.loops+1
	if keep || now >= want {
		return
	}
	if !p.raisedLocked() {
		if p.setOnPurposeLocked(now) {
			tell = p.warningLocked(log, now)
			return
		}
		p.own = now
	}
	runtime.GOMAXPROCS(want)
	p.raised = want
}

// remove counts n loops that have ended. The default of the runtime, with its
// updates, is back when it is enough.
func (p *processors) remove(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loops -= n
	if p.raisedLocked() && (p.loops == 0 || p.loops < p.own) {
		runtime.SetDefaultGOMAXPROCS()
		p.own = 0
	}
}

// raisedLocked reports whether GOMAXPROCS is what add raised it to.
func (p *processors) raisedLocked() bool {
	if p.own != 0 && runtime.GOMAXPROCS(0) != p.raised {
		p.own = 0 // set by the program meanwhile
	}
	return p.own != 0
}

// setOnPurposeLocked reports whether now, the value of GOMAXPROCS, comes from the
// environment or a call of the program. Only by setting the runtime's default can
// it be compared with that, which costs nothing where it is the value already.
func (p *processors) setOnPurposeLocked(now int) bool {
	if n, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil && n > 0 || now == p.theirs {
		return true
	}
	runtime.SetDefaultGOMAXPROCS()
	if runtime.GOMAXPROCS(0) == now {
		return false
	}
	runtime.GOMAXPROCS(now)
	p.theirs = now
	return true
}

// warningLocked returns what warns of GOMAXPROCS, the first time.
func (p *processors) warningLocked(log *slog.Logger, now int) func() {
	if p.logged {
		return func() {}
	}
	p.logged = true
	loops := p.loops
	return func() {
		write(log, slog.LevelWarn, "loop: GOMAXPROCS leaves no processor to other goroutines, which may wait for milliseconds; "+
			"set it to loops+1, or fewer Loops, or KeepGOMAXPROCS if this is meant", slog.Int("gomaxprocs", now), slog.Int("loops", loops))
	}
}
