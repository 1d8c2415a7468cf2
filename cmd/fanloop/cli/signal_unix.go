//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyUSR1 sends every SIGUSR1 to signals.
func notifyUSR1(signals chan<- os.Signal) { signal.Notify(signals, syscall.SIGUSR1) }
