package main

import (
	"crypto/tls"
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
	// does are the names of what it can do besides plain WebSockets.
	does []string
	// version returns the version measured.
	version func() string
	// missing returns what keeps the peer from running here, as an error that
	// wraps errNotAvailable, or nil.
	missing func() error
	// serve serves the bench protocol until it fails.
	serve func(endpoint) error
}

var peers = map[string]peer{}

// What a peer may do besides plain WebSockets.
const (
	doesTLS      = "tls"      // wss
	doesDeflate  = "deflate"  // permessage-deflate, every message by itself
	doesTakeover = "takeover" // permessage-deflate with context takeover on both sides
)

// registerGo adds a peer that is part of this program. module is the import
// path of its module.
func registerGo(name, module string, serve func(endpoint) error, does ...string) {
	peers[name] = peer{
		name:    name,
		does:    does,
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

// list writes one line a peer: its name, its version, what it can do as arguments
// ask for it, and what keeps it from running here, if anything does.
func list(w io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		p := peers[name]
		line := p.name + " " + p.version()
		for _, need := range p.does {
			line += " +" + need
		}
		if err := p.missing(); err != nil {
			line += ": " + err.Error()
		}
		fmt.Fprintln(w, line)
	}
}

// endpoint is where and how wide a peer serves.
type endpoint struct {
	addr  string // host:port
	loops int    // event loops, at least 1

	tls      bool // wss
	deflate  bool // permessage-deflate
	takeover bool // with context takeover
}

// ask adds what an argument asks for.
func (at *endpoint) ask(need string) {
	switch need {
	case doesTLS:
		at.tls = true
	case doesDeflate:
		at.deflate = true
	case doesTakeover:
		at.deflate, at.takeover = true, true
	}
}

// listen returns the listener for at.addr, and says that the server is ready:
// from here on the kernel completes connections. With at.tls its connections are
// those of crypto/tls.
func (at endpoint) listen() (net.Listener, error) {
	var config *tls.Config
	if at.tls {
		var err error
		if config, err = selfSigned(); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("tcp", at.addr)
	if err != nil {
		return nil, err
	}
	ready(ln.Addr().String())
	if at.tls {
		ln = tls.NewListener(ln, config)
	}
	return ln, nil
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
