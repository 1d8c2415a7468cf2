// Package callback tells a call from inside of a callback from others.
package callback

import (
	"reflect"
	"runtime"
	"slices"
)

// In reports whether one of the functions, on the calling goroutine, has not returned
// yet: those that make the callbacks. A Close that is called there does not wait for
// them.
func In(functions ...any) bool {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	}
	var some [64]uintptr
	for skip := 2; ; skip += len(some) {
		n := runtime.Callers(skip, some[:])
		if has(some[:n], names) {
			return true
		}
		if n < len(some) {
			return false
		}
	}
}

// has reports whether one of the calls is of a function of these names.
func has(calls []uintptr, names []string) bool {
	if len(calls) == 0 {
		return false
	}
	frames := runtime.CallersFrames(calls)
	for {
		frame, more := frames.Next()
		if slices.Contains(names, frame.Function) {
			return true
		}
		if !more {
			return false
		}
	}
}
