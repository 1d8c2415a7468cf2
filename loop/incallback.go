package loop

import (
	"bytes"
	"errors"
	"runtime"
	"strconv"
)

// ErrInCallback is returned by what waits for a loop when it is called on that
// loop, for which it would wait for ever. Nothing was done: call it on a goroutine
// of its own.
var ErrInCallback = errors.New("loop: called in a callback, whose loop it would wait for; call it on a goroutine of its own")

// InCallback reports whether the caller is on a loop of the group, in a callback, or
// such a loop waits for it in Isolate. It takes about a microsecond.
func (g *Group) InCallback() bool {
	return OnBehalf(func(goroutine uint64) bool {
		for _, l := range g.loops {
			if l.goroutine.Load() == goroutine {
				return true
			}
		}
		return false
	})
}

// OnBehalf reports whether is holds for the number of the calling goroutine, or of one
// that waits for it in Isolate.
func OnBehalf(is func(goroutine uint64) bool) bool {
	for id := GoroutineID(); ; {
		if is(id) {
			return true
		}
		waits, ok := waiters.Load(id)
		if !ok {
			return false
		}
		id = waits.(uint64)
	}
}

// GoroutineID returns the number of the calling goroutine, which no other has at
// the same time. It takes about a microsecond.
func GoroutineID() uint64 {
	var buf [64]byte
	line := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(line, []byte(" "))
	id, _ := strconv.ParseUint(string(digits), 10, 64) // the runtime writes it like this
	return id
}
