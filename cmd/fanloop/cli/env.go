package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Variable is the environment variable that stands in for a flag of cmd:
// FANLOOP_ECHO_MAX_MESSAGE for --max-message of fanloop echo. It names the
// command, since a flag may mean something else to another one.
func Variable(cmd *cobra.Command, f *pflag.Flag) string {
	words := append(strings.Fields(cmd.CommandPath()), f.Name)
	return strings.ToUpper(strings.ReplaceAll(strings.Join(words, "_"), "-", "_"))
}

// ApplyEnvironment sets the flags of cmd that the command line left alone and
// whose variable is not empty. The error names every variable that is wrong.
func ApplyEnvironment(cmd *cobra.Command) error {
	var wrong []string
	flags := cmd.Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		name := Variable(cmd, f)
		text := os.Getenv(name)
		if f.Changed || text == "" || !HasVariable(f) {
			return
		}
		if err := setAll(flags, f, text); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s=%q: %s", name, text, wanted(f, err)))
		}
	})
	if len(wrong) > 0 {
		return Usagef("%s", strings.Join(wrong, "\n"))
	}
	return nil
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

// ShowVariables names the variables in the help texts of the commands below cmd.
func ShowVariables(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		sub.Flags().VisitAll(func(f *pflag.Flag) { f.Usage += " [$" + Variable(sub, f) + "]" })
		ShowVariables(sub)
	}
}

// UnknownVariables says of each variable of the environment that begins as those of cmd do,
// and stands in for no flag of it or of a command below, that it has no effect, and what may
// be meant.
func UnknownVariables(cmd *cobra.Command) (all []string) {
	prefix := Variable(cmd, &pflag.Flag{})
	var known []string
	addVariables(cmd, &known)
	for _, one := range os.Environ() {
		name, _, _ := strings.Cut(one, "=")
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) {
			all = append(all, name+" has no effect: there is no flag for it"+DidYouMean(name, known))
		}
	}
	slices.Sort(all)
	return all
}

func addVariables(cmd *cobra.Command, known *[]string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { *known = append(*known, Variable(cmd, f)) })
	for _, sub := range cmd.Commands() {
		addVariables(sub, known)
	}
}

// HasVariable says whether a variable stands in for f.
func HasVariable(f *pflag.Flag) bool { return f.Name != "help" && f.Name != "version" }

// FlagError makes one clear line of what pflag reports about the flags of cmd.
func FlagError(cmd *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return Usagef("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), wanted(invalid.GetFlag(), err))
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return Usagef("%s%s", err, nearFlags(cmd, unknown))
	}
	return Usagef("%s", err)
}

// nearFlags names the flags that may be meant by an unknown one. One dash makes
// letters of a word: of -insecure, those after the last letter that is a flag are
// left.
func nearFlags(cmd *cobra.Command, unknown *pflag.NotExistError) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	letters := unknown.GetSpecifiedShortnames()
	if letters == "" {
		return DidYouMean("--"+unknown.GetSpecifiedName(), names)
	}
	for _, name := range names {
		if len(letters) > 1 && strings.HasSuffix(name, letters) {
			return "; did you mean " + name + "?"
		}
	}
	return ""
}

// wanted says what a flag takes.
func wanted(f *pflag.Flag, err error) string {
	if f.Value.Type() == "bool" {
		return "want true or false"
	}
	return RootCause(err).Error()
}
