package loop

import (
	"bytes"
	"log/slog"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// watch asks the loops of a group for a sign of life again and again. When one gives
// none because a callback is under way, that is reported, once until the loop goes on.
type watch struct {
	group *Group
	loops []watched
	look  func(*Loop) (callback, stack string) // blockedIn; tests replace it
}

// watched is a loop as the watch knows it.
type watched struct {
	*Loop
	sign     func()
	silent   int  // looks in a row that found no sign of life
	lookAt   int  // the silent look at which its stack is looked at
	reported bool // in the log
	ended    bool
}

func newWatch(g *Group) *watch {
	w := &watch{group: g, look: (*Loop).blockedIn}
	for _, l := range g.loops {
		l.alive.Store(true)
		w.loops = append(w.loops, watched{Loop: l, sign: func() { l.alive.Store(true) }})
	}
	return w
}

func (w *watch) run() {
	// No ticker: after a late tick the next one would come too soon.
	wait := time.NewTimer(w.group.cfg.BlockedAfter)
	defer wait.Stop()
	for {
		select {
		case <-w.group.quit:
			return
		case <-wait.C:
		}
		for i := range w.loops {
			w.check(&w.loops[i])
		}
		wait.Reset(w.group.cfg.BlockedAfter)
	}
}

func (w *watch) check(l *watched) {
	switch {
	case l.ended:
		return
	case l.alive.Swap(false):
		l.silent, l.lookAt, l.reported = 0, 1, false
		l.ended = l.Do(l.sign) != nil
		return
	}
	l.silent++
	if l.reported || l.silent < l.lookAt {
		return
	}
	l.lookAt *= 2 // a look stops the world
	callback, stack := w.look(l.Loop)
	if callback == "" {
		return
	}
	l.reported = true
	w.group.log(slog.LevelWarn, "loop: a callback blocks its loop; move slow work off it",
		slog.Int("loop", l.index), slog.String("callback", callback),
		slog.Duration("longer_than", w.group.cfg.BlockedAfter), slog.String("stack", stack))
}

// blockedIn returns the name of the callback that is under way on the goroutine of
// l, and the stack of that. "" means none: the loop works, or the machine is slow.
func (l *Loop) blockedIn() (callback, stack string) {
	stack = stackOf(l.goroutine.Load())
	return callbackIn(stack), stack
}

// maxStacks is the most that is read of the stacks of all goroutines. Those of
// loops, which began early, are among the first.
const maxStacks = 16 << 20

// stackOf returns the stack of one goroutine; "" if it is not found. All
// goroutines stand still meanwhile.
func stackOf(goroutine uint64) string {
	head := []byte("\n\ngoroutine " + strconv.FormatUint(goroutine, 10) + " ")
	for size := 256 << 10; size <= maxStacks; size *= 4 {
		buf := make([]byte, size)
		all := buf[:runtime.Stack(buf, true)]
		_, after, found := bytes.Cut(all, head)
		stack, _, whole := bytes.Cut(after, []byte("\n\n"))
		if found && (whole || len(all) < size) {
			return string(head[2:]) + string(stack)
		}
		if len(all) < size {
			break
		}
	}
	return ""
}

// modulePath is what the names of this module's packages begin with.
var modulePath = strings.TrimSuffix(reflect.TypeFor[Loop]().PkgPath(), "loop")

// packageOf returns the package of this module that has the function name, and the
// rest of the name; "" if it is of another module.
func packageOf(name string) (pkg, rest string) {
	inside, ok := strings.CutPrefix(name, modulePath)
	if !ok {
		return "", name
	}
	pkg, rest, _ = strings.Cut(inside, ".")
	return pkg, rest
}

// ours reports whether a function belongs to a package that the program does not write.
func ours(name string) bool {
	pkg, _ := packageOf(name)
	switch pkg {
	case "loop", "engine", "codec", "handshake":
		return true
	}
	return strings.HasPrefix(pkg, "engine/internal/")
}

// calls reports whether caller, a function, calls what belongs to the program: its name
// begins with call, or it is of this package and called is an event of a Handler.
func calls(caller, called string) bool {
	pkg, rest := packageOf(caller)
	return (pkg == "loop" || pkg == "engine") && namedCall(rest) || pkg == "loop" && isEvent(called)
}

// namedCall reports whether a part of name, between dots, begins with call and a capital.
func namedCall(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		what, ok := strings.CutPrefix(part, "call")
		if ok && what != "" && what[0] >= 'A' && what[0] <= 'Z' {
			return true
		}
	}
	return false
}

// isEvent reports whether name is that of a method of [Handler], [DiscardHandler] or
// [PanicHandler].
func isEvent(name string) bool {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "OnOpen", "OnData", "OnEOF", "OnNotify", "OnTimer", "OnDrain", "OnDiscard", "OnClose", "OnPanic":
		return true
	}
	return false
}

// callbackIn returns the function of the program that a stack shows to be called by
// this package or engine; "" if none is.
func callbackIn(stack string) string {
	before := ""
	called, calledAt := "", ""
	for line := range strings.Lines(stack) { // a function and its place, the innermost first
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "\t") {
			before = line
			continue
		}
		name := before[:max(0, strings.LastIndexByte(before, '('))] // without arguments
		if called != "" && calls(name, called) && (!ours(called) || strings.Contains(calledAt, "_test.go:")) {
			return called
		}
		called, calledAt = name, line
	}
	return ""
}
