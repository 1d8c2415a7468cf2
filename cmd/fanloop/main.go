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
	ctx, stopHangup := withHangup(ctx)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	code := run(ctx, os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stopHangup()
	stop()
	os.Exit(code)
}

// withHangup ends ctx when the terminal closes, unless nohup has that ignored. Later hangups
// do nothing: a shell sends one besides that of the system.
func withHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}
