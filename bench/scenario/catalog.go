package scenario

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
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
	Versions map[string]string // of the peers, and of other fanloops
	Missing  map[string]string // not available here, and why
}

// everything is the name of every server that comes with the harness.
const everything = "all"

// Find turns names into servers: floor, fanloop, the name of a peer, all for
// every one of them, NAME=COMMAND as ParseServer reads it, or NAME=PATH for
// another fanloop program. Before anything is built, every name is checked. What
// is not available here is left out and listed in Found.Missing; an unknown name
// is a *load.ConfigError that lists the known ones.
func (c *Catalog) Find(ctx context.Context, names []string) (Found, error) {
	f := Found{Versions: make(map[string]string), Missing: make(map[string]string)}
	if err := c.check(names); err != nil {
		return f, err
	}
	for _, name := range names {
		if err := c.find(ctx, strings.TrimSpace(name), &f); err != nil {
			return f, err
		}
	}
	if len(f.Servers) == 0 {
		return f, fmt.Errorf("none of the servers is available here: %v", f.Missing)
	}
	return f, nil
}

// check refuses what names no server, or two servers alike.
func (c *Catalog) check(names []string) error {
	if len(names) == 0 {
		return usagef("there are no servers to measure: want floor, fanloop, a peer, all, NAME=COMMAND, or NAME=PATH of another fanloop")
	}
	seen := make(map[string]string)
	for _, text := range names {
		text = strings.TrimSpace(text)
		name, _, given := strings.Cut(text, "=")
		if other, ok := seen[name]; ok && other != text {
			return usagef("two servers are called %s (%q and %q): give each a name of its own", name, other, text)
		}
		seen[name] = text
		if given {
			if _, err := c.given(text); err != nil {
				return err
			}
			continue
		}
		if err := c.checkName(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) checkName(name string) error {
	if name == report.Ours || name == report.Floor || name == everything {
		return nil
	}
	peers, err := c.PeerNames()
	if slices.Contains(peers, name) {
		return nil
	}
	known := strings.Join(append([]string{report.Floor, report.Ours, everything}, peers...), ", ")
	if err != nil {
		return usagef("there is no server %q among %s, and the peers are not known: %v", name, known, err)
	}
	return usagef("there is no server %q: want %s, NAME=COMMAND, or NAME=PATH of another fanloop", name, known)
}

// given reads NAME=COMMAND or NAME=PATH.
func (c *Catalog) given(text string) (Server, error) {
	name, path, _ := strings.Cut(text, "=")
	if name == "" || strings.Contains(path, "{") {
		return ParseServer(text)
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return Server{}, usagef("server %q: want NAME=COMMAND with {addr} or {port} in it, or NAME=PATH of another fanloop: %v", text, err)
	}
	return c.fanloop(name, found), nil
}

// fanloop is the server that a fanloop program is; path "" is this program.
func (c *Catalog) fanloop(name, path string) Server {
	s := Server{Name: name, GivesBack: true, logs: true, Topics: true, Does: map[string][]string{
		"tls": {"--tls"}, "deflate": {"--compression", "deflate"}, "takeover": {"--compression", "takeover"},
	}}
	for _, arg := range c.Self {
		s.Command = append(s.Command, strings.ReplaceAll(arg, "{loops}", c.loops()))
	}
	if path != "" {
		s.Command[0] = path
	}
	return s
}

func (c *Catalog) loops() string { return strconv.Itoa(max(c.Loops, 1)) }

// find adds the servers of a name that check let pass.
func (c *Catalog) find(ctx context.Context, name string, f *Found) error {
	if called, _, given := strings.Cut(name, "="); given {
		s, err := c.given(name)
		f.Servers = append(f.Servers, s)
		if err == nil && s.logs {
			f.Versions[called] = fanloopVersion(ctx, s.Command[0])
		}
		return err
	}
	if slices.ContainsFunc(f.Servers, func(s Server) bool { return s.Name == name }) {
		return nil
	}
	switch name {
	case report.Ours:
		f.Servers = append(f.Servers, c.fanloop(name, ""))
		return nil
	case report.Floor:
		return c.findFloor(ctx, f)
	case everything:
		return c.findAll(ctx, f)
	}
	if err := c.loadPeers(ctx); err != nil {
		return fmt.Errorf("server %q: %w", name, err)
	}
	c.addPeer(name, f)
	return nil
}

func (c *Catalog) findFloor(ctx context.Context, f *Found) error {
	path, err := bench.BuildFloor(ctx, c.Dir)
	if errors.Is(err, bench.ErrNotAvailable) {
		f.Missing[report.Floor] = err.Error()
		return nil
	}
	f.Servers = append(f.Servers, Server{Name: report.Floor, Command: []string{path, "{port}"}, Plain: true})
	return err
}

func (c *Catalog) findAll(ctx context.Context, f *Found) error {
	err := c.loadPeers(ctx)
	if errors.Is(err, bench.ErrNotAvailable) {
		f.Missing["peers"] = err.Error()
	} else if err != nil {
		return err
	}
	for _, one := range append([]string{report.Floor, report.Ours}, c.order...) {
		if err := c.find(ctx, one, f); err != nil {
			return err
		}
	}
	return nil
}

// fanloopVersion is what a fanloop program says of its version, in one line.
func fanloopVersion(ctx context.Context, path string) string {
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
