package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fanloop-go/fanloop/bench"
)

// registration is the line with which a peer enters its name.
var registration = regexp.MustCompile(`(?m)^\s*(?:func init\(\) \{ )?register(?:Go|Npm)\("([^"]+)"`)

func (c *Catalog) peersDir() string {
	if c.PeersDir != "" {
		return c.PeersDir
	}
	return filepath.Join("bench", "peers")
}

// PeerNames reads the names of the peers from their sources, which takes no
// build. The error wraps bench.ErrNotAvailable if there are no sources.
func (c *Catalog) PeerNames() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(c.peersDir(), "*.go"))
	if err != nil || len(files) == 0 {
		return nil, c.noSources()
	}
	var names []string
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, errors.Join(c.noSources(), err)
		}
		for _, m := range registration.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names, nil
}

func (c *Catalog) noSources() error {
	return fmt.Errorf("%w: no sources of the peers in %s; run in fanloop's checkout, or name their folder (--peers-dir)", bench.ErrNotAvailable, c.peersDir())
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

// addPeer adds a peer, or why it is missing.
func (c *Catalog) addPeer(name string, f *Found) {
	if why, ok := c.missing[name]; ok {
		f.Missing[name] = why
		return
	}
	f.Versions[name] = c.versions[name]
	f.Servers = append(f.Servers, Server{Name: name, Command: []string{c.peers, name, "{addr}", c.loops()}, GivesBack: true, Does: c.does[name]})
}

// BuildPeers builds the program of the peers and returns its path. The error
// wraps bench.ErrNotAvailable if there are no sources or no Go.
func (c *Catalog) BuildPeers(ctx context.Context) (string, error) {
	dir := c.peersDir()
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", c.noSources()
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
