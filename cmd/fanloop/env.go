package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// variable is the environment variable that stands in for a flag: --max-message
// is FANLOOP_MAX_MESSAGE, for every command that has the flag.
func variable(f *pflag.Flag) string {
	return "FANLOOP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// applyEnvironment sets the flags that the command line left alone and whose
// variable is not empty.
func applyEnvironment(flags *pflag.FlagSet) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		text := os.Getenv(variable(f))
		if first != nil || f.Changed || text == "" || !hasVariable(f) {
			return
		}
		if err := setAll(flags, f, text); err != nil {
			first = usagef("%s=%q: %s", variable(f), text, wanted(f, err))
		}
	})
	return first
}

// setAll sets a flag from its variable, which holds one value a line if the
// values may hold commas.
func setAll(flags *pflag.FlagSet, f *pflag.Flag, text string) error {
	if f.Value.Type() != "stringArray" {
		return flags.Set(f.Name, text)
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := flags.Set(f.Name, line); err != nil {
			return err
		}
	}
	return nil
}

// showVariables names the variables in the help text.
func showVariables(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) { f.Usage += " [$" + variable(f) + "]" })
}

func hasVariable(f *pflag.Flag) bool { return f.Name != "help" && f.Name != "version" }

// flagError makes one clear line of what pflag reports.
func flagError(err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usagef("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), wanted(invalid.GetFlag(), err))
	}
	return usagef("%s", err)
}

// wanted says what a flag takes.
func wanted(f *pflag.Flag, err error) string {
	if f.Value.Type() == "bool" {
		return "want true or false"
	}
	return root(err).Error()
}

// root is the innermost cause of err.
func root(err error) error {
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(err) {
		err = cause
	}
	return err
}
