// Command fanloop serves, dials and measures WebSockets.
//
// Each command is a package: echo is a server with a page to try it (web), chat
// a chat service, dial a client for the terminal and for scripts, bench measures
// servers side by side.
// Package cli has what they share.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	code := run(ctx, os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
