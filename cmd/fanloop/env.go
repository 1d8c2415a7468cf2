package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variable is the environment variable that stands in for a flag of cmd:
// FANLOOP_ECHO_MAX_MESSAGE for --max-message of fanloop echo. It names the
// command, since a flag may mean something else to another one.
func variable(cmd *cobra.Command, f *pflag.Flag) string {
	words := append(strings.Fields(cmd.CommandPath()), f.Name)
	return strings.ToUpper(strings.ReplaceAll(strings.Join(words, "_"), "-", "_"))
}

// applyEnvironment sets the flags of cmd that the command line left alone and
// whose variable is not empty.
func applyEnvironment(cmd *cobra.Command) error {
	var first error
	flags := cmd.Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(cmd, f)
		text := os.Getenv(name)
		if first != nil || f.Changed || text == "" || !hasVariable(f) {
			return
		}
		if err := setAll(flags, f, text); err != nil {
			first = usagef("%s=%q: %s", name, text, wanted(f, err))
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

// showVariables names the variables in the help texts of the commands below cmd.
func showVariables(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		sub.Flags().VisitAll(func(f *pflag.Flag) { f.Usage += " [$" + variable(sub, f) + "]" })
		showVariables(sub)
	}
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
