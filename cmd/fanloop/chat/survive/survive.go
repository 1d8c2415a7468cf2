// Package survive calls functions whose panic is not to end the process, on goroutines that
// no loop guards: one fault, met by the input of one client, would end a node for all.
package survive

import (
	"errors"
	"log/slog"

	"github.com/fanloop-go/fanloop/loop"
)

// Do calls do, and returns its error. If it panics, the error is a [*loop.PanicError].
func Do(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = loop.NewPanicError(value)
		}
	}()
	return do()
}

// Attrs are those of a log line about an error: of a panic, its value and stack too.
func Attrs(err error) []slog.Attr {
	all := []slog.Attr{slog.Any("err", err)}
	if end, is := errors.AsType[*loop.PanicError](err); is {
		all = append(all, slog.Any("panic", end.Value), slog.String("stack", string(end.Stack)))
	}
	return all
}
