package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/bench"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/cmd/fanloop/dial"
	"github.com/fanloop-go/fanloop/cmd/fanloop/echo"
)

// The exit codes of the program.
const (
	exitOK     = 0
	exitFailed = 1 // it could not do what it was asked to
	exitUsage  = 2 // wrong command, flag, variable or input
	exitClosed = 3 // dial: the connection ended in another way than in order
)

// run executes a command line and returns the exit code. The end of ctx asks
// the command to end in order.
func run(ctx context.Context, args []string, std cli.Stdio) int {
	root := newRoot(std)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var usage *cli.UsageError
	switch {
	case errors.Is(err, cli.ErrClosed):
		return exitClosed // dial has said how
	case errors.As(err, &usage):
		fmt.Fprintf(std.Err, "fanloop: %s\nRun '%s --help' for usage.\n", cli.OneLine(err), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(std.Err, "fanloop: %s\n", cli.OneLine(err))
	return exitFailed
}

func newRoot(std cli.Stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "fanloop",
		Short: "Serve, dial and measure WebSockets",
		Long: `fanloop serves, dials and measures WebSockets. Its engine is a Go package:
github.com/fanloop-go/fanloop/engine.

Each flag has an environment variable, which its help names. A flag on the command line
wins over its variable. fanloop completion writes a script for your shell.`,
		Example: `  fanloop echo          run an echo server with a page at http://127.0.0.1:9001/
  fanloop dial :9001    talk to it from the terminal
  fanloop bench echo    measure what an echo costs it`,
		Args:              cli.NoCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return cli.ApplyEnvironment(cmd) },
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetIn(std.In)
	root.SetOut(std.Out)
	root.SetErr(std.Err)
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetHelpCommand(newHelp(root))
	root.SetUsageTemplate(cli.UsageTemplate)
	root.AddCommand(echo.New(std), dial.New(std), newVersion(std), bench.New(std), chat.New(std))
	addVersionFlag(root)
	addCompletion(root)
	cli.ShowVariables(root)
	return root
}

// addCompletion adds fanloop completion, which writes a script for a shell, and
// what that script asks for.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Short = "Write a script by which your shell completes commands and flags"
		cmd.Args, cmd.RunE = cli.NoCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range cmd.Commands() {
			shell.Args = cli.NoArguments
		}
	}
	cli.AddCompletions(root)
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
			if err := cli.NoCommand(root, rest); err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag() // as --help shows it
			return cmd.Help()
		},
	}
}
