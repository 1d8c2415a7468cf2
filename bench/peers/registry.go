package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"runtime/debug"
	"slices"
)

// errNotAvailable is the cause when a peer lacks a tool here. The text around it
// says what to install.
var errNotAvailable = errors.New("not available here")

// A peer is a server to measure. It registers itself in the init of its file.
type peer struct {
	name string
	// version returns the version measured.
	version func() string
	// missing returns what keeps the peer from running here, as an error that
	// wraps errNotAvailable, or nil.
	missing func() error
	// serve serves the bench protocol until it fails.
	serve func(endpoint) error
}

var peers = map[string]peer{}

// registerGo adds a peer that is part of this program. module is the import
// path of its module.
func registerGo(name, module string, serve func(endpoint) error) {
	peers[name] = peer{
		name:    name,
		version: func() string { return moduleVersion(module) },
		missing: func() error { return nil },
		serve:   serve,
	}
}

func moduleVersion(path string) string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

// list writes one line a peer: its name, its version, and what keeps it from
// running here, if anything does.
func list(w io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		p := peers[name]
		if err := p.missing(); err != nil {
			fmt.Fprintf(w, "%s %s: %v\n", p.name, p.version(), err)
			continue
		}
		fmt.Fprintln(w, p.name, p.version())
	}
}

// endpoint is where and how wide a peer serves.
type endpoint struct {
	addr  string // host:port
	loops int    // event loops, at least 1
}

// listen returns the listener for at.addr, and says that the server is ready:
// from here on the kernel completes connections.
func (at endpoint) listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", at.addr)
	if err == nil {
		ready(ln.Addr().String())
	}
	return ln, err
}

// freePort returns at.addr with a port that was free a moment ago in place of
// port 0, for peers that open their own sockets.
func (at endpoint) freePort() (string, error) {
	ln, err := net.Listen("tcp", at.addr)
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func ready(addr string) { fmt.Println("listening", addr) }
