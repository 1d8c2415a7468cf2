// Command fanloop runs the engine's echo server with a page to try it, and
// speaks WebSocket from a terminal.
//
// A message's way through fanloop echo is that of package engine; the program
// adds the callback that sends it back. In fanloop dial a line of stdin becomes
// a message, and a message a line of stdout.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes of the program.
const (
	exitOK     = 0
	exitFailed = 1 // it could not do what it was asked to
	exitUsage  = 2 // wrong command, flag, variable or input
	exitClosed = 3 // dial: the connection ended in another way than in order
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run executes a command line and returns the exit code. The end of ctx asks
// the command to end in order.
func run(ctx context.Context, args []string, std stdio) int {
	root := newRoot(std)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var usage *usageError
	switch {
	case errors.Is(err, errClosed):
		return exitClosed // dial has said how
	case errors.As(err, &usage):
		fmt.Fprintf(std.err, "fanloop: %s\nRun '%s --help' for usage.\n", oneLine(err), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(std.err, "fanloop: %s\n", oneLine(err))
	return exitFailed
}

// oneLine is the text of err without the line ends that joined errors have.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// usageError is a mistake in the command line, the environment or the input.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

func newRoot(std stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "fanloop",
		Short: "WebSockets on event loops",
		Long:  "fanloop is a WebSocket engine on event loops, to try and to measure.",
		Example: `  fanloop echo                        an echo server with a page at http://127.0.0.1:9001/
  fanloop dial ws://127.0.0.1:9001/   talk to it from the terminal`,
		Args:              noCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return applyEnvironment(cmd) },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpCommand(newHelp(root))
	root.SetUsageTemplate(usageTemplate)
	root.AddCommand(newEcho(std), newDial(std), newVersion(std), newBench(std))
	showVariables(root)
	return root
}

// newHelp is fanloop help, which is the same as --help.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "help [command]",
		Short:  "Show the help of a command",
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if err := noCommand(root, rest); err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag() // as --help shows it
			return cmd.Help()
		},
	}
}

// noCommand refuses the word that stands where a command should.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return usagef("unknown command %q", args[0])
}

// noArguments refuses words behind a command that takes none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, but there is %q", cmd.Name(), args[0])
	}
	return nil
}

const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} <command> [flags]{{else}}{{.UseLine}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

{{flagGroups .LocalFlags}}{{end}}{{if .HasAvailableSubCommands}}

Run '{{.CommandPath}} <command> --help' for the flags of a command.{{end}}
`
