package loop

import (
	"runtime/debug"
	"sync"
)

// PanicError is the end of a callback that did not return: it panicked, or it
// ended its goroutine by [runtime.Goexit], as FailNow of a testing.T does.
type PanicError struct {
	Value any    // what was given to panic; nil after runtime.Goexit
	Stack []byte // of the callback
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "loop: a callback called runtime.Goexit, as t.FailNow does, instead of returning; Stack says where"
	}
	return "loop: a callback panicked; Value and Stack say why and where"
}

// NewPanicError returns how a callback ended that did not return. Call it in the
// deferred function that found out; v is what recover returned there.
func NewPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: debug.Stack()} }

// PanicHandler is a [Handler] that decides what follows when one of its events
// does not return. Other handlers lose their connection, and OnClose gets the
// *PanicError.
type PanicHandler interface {
	Handler
	// OnPanic takes the place of the rest of the event, or follows an OnClose that
	// did not return. If it does not return either, it is called once more, and then
	// the connection is dropped.
	OnPanic(err *PanicError)
}

// waiters are the goroutines that wait in Isolate, by the one that runs fn.
var waiters sync.Map

// Isolate runs fn on a goroutine of its own and waits for it, so that neither a
// panic nor runtime.Goexit in fn reaches the caller. nil means that fn returned.
func Isolate(fn func()) *PanicError {
	end, waits := make(chan *PanicError, 1), GoroutineID()
	go func() {
		id := GoroutineID()
		waiters.Store(id, waits)
		defer waiters.Delete(id)
		returned := false
		defer func() {
			if returned {
				end <- nil
				return
			}
			end <- NewPanicError(recover())
		}()
		fn()
		returned = true
	}()
	return <-end
}
