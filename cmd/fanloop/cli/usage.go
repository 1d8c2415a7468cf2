// Package cli has what the commands of fanloop share: flags and their values,
// the environment, help texts and errors.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Stdio is where a command reads and writes.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// UsageError is a mistake in the command line, the environment or the input.
type UsageError struct{ msg string }

func (e *UsageError) Error() string { return e.msg }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// ErrClosed ends a command whose connection did not end in order. The command
// has printed the reason.
var ErrClosed = errors.New("the connection did not end in order")

// OneLine is the text of err without the line ends that joined errors have.
func OneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// RootCause is the innermost cause of err.
func RootCause(err error) error {
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(err) {
		err = cause
	}
	return err
}

// NoCommand refuses a word where a command should be.
func NoCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return Usagef("unknown command %q%s", args[0], DidYouMean(args[0], names))
}

// NoArguments refuses words behind a command that takes none.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usagef("%s takes no arguments, but there is %q", cmd.Name(), args[0])
	}
	return nil
}
