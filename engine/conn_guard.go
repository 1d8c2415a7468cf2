package engine

import (
	"log/slog"

	"github.com/fanloop-go/fanloop/loop"
)

// What follows a callback that did not return.
const (
	panicEnds    = "its connection is closed with 1011"
	panicRefuses = "the request is refused with 500"

	panicFailsDial = "this attempt to connect has failed"

	panicEndsServer = "the server does not start"
)

// guard calls fn, which calls a callback, and then done with its error: a
// *PanicError if it did not return. It is for goroutines that are no loops, which
// have handler.OnPanic.
func (e *settings) guard(follows string, fn func() error, done func(error)) {
	returned := false
	var err error
	defer func() {
		if !returned {
			panicked := loop.NewPanicError(recover())
			e.logPanic(panicked, follows)
			err = panicked
		}
		done(err)
	}()
	err = fn()
	returned = true
}

// logPanic logs that a callback did not return, and what follows.
func (e *settings) logPanic(err *PanicError, follows string) { logPanic(e.panics, e.log, err, follows) }

func logPanic(t *loop.Throttle, log *slog.Logger, err *PanicError, follows string) {
	msg := "engine: a callback panicked; "
	if err.Value == nil {
		msg = "engine: a callback called runtime.Goexit; "
	}
	t.Log(log, slog.LevelError, msg+follows, slog.Any("panic", err.Value), slog.String("stack", string(err.Stack)))
}
