// Command peers serves the bench protocol with one of the WebSocket servers
// that fanloop is measured beside. It is a module of its own, so that nobody
// who embeds fanloop downloads them.
//
// The protocol: a server upgrades at any path and echoes every message, text
// as text and binary as binary; a message whose first byte is 'B' goes to every
// connected client instead, the sender included.
//
//	peers NAME ADDR [LOOPS] [+tls] [+deflate | +takeover]
//	                 serve until SIGTERM or SIGINT
//	peers -list      name, version, what it can do and availability, one peer a line
//	peers -install   fetch what the npm peers need ahead of time
//
// Once the server accepts connections, one line "listening ADDR" is printed,
// with the port that port 0 became. LOOPS is how many threads run at once:
// GOMAXPROCS unless the environment sets it, and event loops where a peer has
// them; without it, one per CPU the process may use. ws and bun always have one
// loop. SIGUSR1 gives freed memory back to the system.
//
// +tls speaks wss, with a certificate made at start. +deflate agrees to
// permessage-deflate, every message by itself, and +takeover to context takeover
// too. Which peer can do which is what -list says.
//
// A peer's way through this package: its file registers a name and a serve
// function in init; main finds it by name and calls serve; serve listens by
// [endpoint.listen], joins every connection to a [hub] and, where a write may
// block, puts a [queue] before it.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The exit codes.
const (
	failed     = 1
	wrongUsage = 2
)

const usage = "usage: peers NAME ADDR [LOOPS] [+tls] [+deflate | +takeover] | peers -list | peers -install"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run does what args say and returns the exit code. A problem is one line on
// stderr.
func run(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == "-list":
		list(stdout)
		return 0
	case len(args) == 1 && args[0] == "-install":
		return report(stderr, install())
	case len(args) < 2:
		fmt.Fprintln(stderr, usage)
		return wrongUsage
	}
	p, known := peers[args[0]]
	if !known {
		fmt.Fprintf(stderr, "peers: no peer is called %q; peers -list shows all\n", args[0])
		return wrongUsage
	}
	at, err := parseEndpoint(p, args[1:])
	if err != nil {
		fmt.Fprintf(stderr, "peers: %v\n", err)
		return wrongUsage
	}
	return report(stderr, serve(p, at))
}

func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "peers: %v\n", err)
	return failed
}

// parseEndpoint reads ADDR [LOOPS] and what p is asked to do.
func parseEndpoint(p peer, args []string) (endpoint, error) {
	at := endpoint{addr: args[0], loops: runtime.GOMAXPROCS(0)}
	if _, _, err := net.SplitHostPort(at.addr); err != nil {
		return at, fmt.Errorf("address %q: want HOST:PORT", at.addr)
	}
	for i, arg := range args[1:] {
		if need, ok := strings.CutPrefix(arg, "+"); ok {
			if !slices.Contains(p.does, need) {
				return at, fmt.Errorf("%s cannot do %q; peers -list shows what it can", p.name, need)
			}
			at.ask(need)
			continue
		}
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || i > 0 {
			return at, fmt.Errorf("loops %q: want one number from 1", arg)
		}
		at.loops = n
	}
	return at, nil
}

// serve runs p until it fails or a signal ends it.
func serve(p peer, at endpoint) error {
	if err := p.missing(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(at.loops)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	ended := make(chan error, 1)
	go func() { ended <- p.serve(at) }()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("%s: %w", p.name, err)
		case s := <-signals:
			if s != syscall.SIGUSR1 {
				return nil
			}
			debug.FreeOSMemory()
		}
	}
}
