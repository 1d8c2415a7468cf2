package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/report"
)

// Catalog knows the servers that come with the harness, and builds them.
type Catalog struct {
	Dir      string   // where programs are built; exists
	PeersDir string   // sources of the peers' module; default: bench/peers below the working directory
	Self     []string // the command that serves with fanloop, with {addr} and {loops}
	Loops    int      // event loops of each server; default 1

	peers    string                         // program
	versions map[string]string              // of the peers
	missing  map[string]string              // peers that cannot run here, and why
	does     map[string]map[string][]string // Server.Does of the peers
	order    []string
}

// Found is what a list of names led to.
type Found struct {
	Servers  []Server
	Versions map[string]string // of the peers
	Missing  map[string]string // not available here, and why
}

// Find turns names into servers: floor, fanloop, the name of a peer, all for
// every one of them, or NAME=COMMAND as ParseServer reads it. What is not
// available here is left out and said so; an unknown name is an error.
func (c *Catalog) Find(ctx context.Context, names []string) (Found, error) {
	f := Found{Versions: make(map[string]string), Missing: make(map[string]string)}
	for _, name := range names {
		if err := c.find(ctx, strings.TrimSpace(name), &f); err != nil {
			return f, err
		}
	}
	if len(names) == 0 {
		return f, usagef("there are no servers to measure: want floor, fanloop, a peer, all, or NAME=COMMAND")
	}
	if len(f.Servers) == 0 {
		return f, fmt.Errorf("none of the servers is available here: %v", f.Missing)
	}
	return f, nil
}

func (c *Catalog) find(ctx context.Context, name string, f *Found) error {
	if slices.ContainsFunc(f.Servers, func(s Server) bool { return s.Name == name }) {
		return nil
	}
	loops := strconv.Itoa(max(c.Loops, 1))
	switch {
	case strings.Contains(name, "="):
		s, err := ParseServer(name)
		f.Servers = append(f.Servers, s)
		return err
	case name == report.Ours:
		s := Server{Name: name, GivesBack: true, logs: true, Topics: true, Does: map[string][]string{
			"tls": {"--tls"}, "deflate": {"--compression", "deflate"}, "takeover": {"--compression", "takeover"},
		}}
		for _, arg := range c.Self {
			s.Command = append(s.Command, strings.ReplaceAll(arg, "{loops}", loops))
		}
		f.Servers = append(f.Servers, s)
		return nil
	case name == report.Floor:
		path, err := bench.BuildFloor(ctx, c.Dir)
		if errors.Is(err, bench.ErrNotAvailable) {
			f.Missing[name] = err.Error()
			return nil
		}
		f.Servers = append(f.Servers, Server{Name: name, Command: []string{path, "{port}"}, Plain: true})
		return err
	}
	if err := c.loadPeers(ctx); err != nil {
		if !errors.Is(err, bench.ErrNotAvailable) || name != "all" {
			return fmt.Errorf("server %q: %w", name, err)
		}
		f.Missing["peers"] = err.Error()
	}
	if name == "all" {
		for _, one := range append([]string{report.Floor, report.Ours}, c.order...) {
			if err := c.find(ctx, one, f); err != nil {
				return err
			}
		}
		return nil
	}
	if why, ok := c.missing[name]; ok {
		f.Missing[name] = why
		return nil
	}
	version, ok := c.versions[name]
	if !ok {
		return usagef("there is no server %q: want floor, fanloop, all, %s, or NAME=COMMAND", name, strings.Join(c.order, ", "))
	}
	f.Versions[name] = version
	f.Servers = append(f.Servers, Server{Name: name, Command: []string{c.peers, name, "{addr}", loops}, GivesBack: true, Does: c.does[name]})
	return nil
}

// loadPeers builds the program of the peers, once, and asks it what it has.
func (c *Catalog) loadPeers(ctx context.Context) error {
	if c.versions != nil {
		return nil
	}
	path, err := c.BuildPeers(ctx)
	if err != nil {
		return err
	}
	c.peers, c.versions, c.missing = path, make(map[string]string), make(map[string]string)
	c.does = make(map[string]map[string][]string)
	// What cannot be fetched is reported as missing by -list or at the start.
	_ = exec.CommandContext(ctx, path, "-install").Run()
	out, err := exec.CommandContext(ctx, path, "-list").Output()
	if err != nil {
		return fmt.Errorf("list the peers: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, why, missing := strings.Cut(rest, ": ")
		version, does, _ := strings.Cut(rest, " ")
		c.order = append(c.order, name)
		if missing {
			c.missing[name] = why
			continue
		}
		c.versions[name] = version
		c.does[name] = make(map[string][]string)
		for _, arg := range strings.Fields(does) {
			c.does[name][strings.TrimPrefix(arg, "+")] = []string{arg}
		}
	}
	return nil
}

// BuildPeers builds the program of the peers and returns its path. The error
// wraps bench.ErrNotAvailable if there are no sources or no Go.
func (c *Catalog) BuildPeers(ctx context.Context) (string, error) {
	dir := c.PeersDir
	if dir == "" {
		dir = filepath.Join("bench", "peers")
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", fmt.Errorf("%w: no sources of the peers in %s; run in fanloop's checkout, or name their folder", bench.ErrNotAvailable, dir)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("%w: the go command is needed to build the peers", bench.ErrNotAvailable)
	}
	path, err := filepath.Abs(filepath.Join(c.Dir, "peers"))
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the peers: %w: %s", err, bytes.TrimSpace(out))
	}
	return path, nil
}
