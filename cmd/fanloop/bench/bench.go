package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// benchOptions are the flags that all measuring commands share.
type benchOptions struct {
	servers      []string
	target       string
	pid          int
	greeting     int // messages with which target greets
	serverCPU    string
	clientCPU    string
	serverLoops  int
	peersDir     string
	jsonPath     string
	htmlPath     string
	markdownPath string
	quiet        bool
	keepGoing    bool
	bases        []string
}

// New is the command fanloop bench.
func New(std cli.Stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure WebSocket servers side by side",
		Long: `bench starts WebSocket servers on some CPUs and clients on others, works on the servers
in turn, and reports what each spent and how long messages took.

The cost of a message is measured with all servers up and connected at once, in slices
that take turns. Each ratio to another server has its 95 % interval. Every message is
checked: one that is missing, duplicated, out of order or damaged fails the run.

The floor is compiled by the C compiler. Peers are built from source: to measure them,
run bench in fanloop's checkout.
bench/README.md there says how to read the figures.

Exit code: 0 if all was measured, 1 if a run failed, 2 for wrong usage.`,
		Example: `  fanloop bench echo                                        floor and fanloop, 200 connections
  fanloop bench fanout --conns 5000 --servers all           beside every peer
  fanloop bench echo --servers floor,fanloop,old=/tmp/old/fanloop --base floor,old
  fanloop bench echo --target ws://127.0.0.1:9001/ --rate 20000
  fanloop bench chat --preset big-room                      a chat service and 10 000 users
  fanloop bench compare before.json after.json`,
		Args: cli.NoCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, kind := range []scenario.Kind{scenario.Echo, scenario.Fanout, scenario.Connect, scenario.Idle,
		scenario.Slow, scenario.Storm, scenario.Soak} {
		cmd.AddCommand(newBenchKind(std, kind))
	}
	cmd.AddCommand(newBenchSuite(std), newBenchCompare(std), newBenchServe(std), newBenchLoad(std),
		newBenchHistory(std), newBenchRoom(std), newBenchMember(std),
		newBenchChat(std), newBenchUsers(std))
	return cmd
}

// peerNames are the peers whose sources are in dir, as far as they can be found.
func peerNames(dir string) []string {
	catalog := scenario.Catalog{PeersDir: dir}
	names, _ := catalog.PeerNames() // a complaint comes when one is asked for
	return names
}

// completeLists has the shell complete names of servers and scenarios.
func completeLists(cmd *cobra.Command) {
	servers := func() []string {
		dir, _ := cmd.Flags().GetString("peers-dir") // it is there
		return append([]string{report.Floor, report.Ours, "all"}, peerNames(dir)...)
	}
	for flag, names := range map[string]func() []string{
		"servers": servers, "base": servers,
		"scenarios": func() []string { return append([]string{"cost"}, strings.Split(suiteScenarios, ",")...) },
	} {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, cli.CompleteList(names)) // it is the first
		}
	}
}

// newBenchLoad runs a generator for the other commands, in a process of its own.
func newBenchLoad(std cli.Stdio) *cobra.Command {
	return &cobra.Command{
		Use:    "load",
		Hidden: true,
		Args:   cli.NoArguments,
		RunE:   func(cmd *cobra.Command, _ []string) error { return load.Serve(cmd.Context(), std.In, std.Out) },
	}
}

func (o *benchOptions) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.servers, "servers", o.servers, "measure the servers `names`: floor, fanloop, a peer, all, NAME=COMMAND with {addr}, or NAME=PATH of another fanloop")
	flags.StringSliceVar(&o.bases, "base", nil, "compare all with the servers `names`; default: floor, or else the first")
	flags.StringVarP(&o.target, "target", "t", "", "measure the server at `URL`, which runs already, instead of --servers")
	cli.CountFlag(flags, &o.greeting, "greeting", "ignore the first n messages of each connection: --target sends them before anything is asked")
	cli.CountFlag(flags, &o.pid, "pid", "read CPU time and memory of --target from this process; 0: not at all")
	flags.StringVar(&o.serverCPU, "server-cpus", o.serverCPU, "run servers on the CPUs in `list`, or any")
	flags.StringVar(&o.clientCPU, "client-cpus", o.clientCPU, "run clients on the CPUs in `list`, or any")
	cli.CountFlag(flags, &o.serverLoops, "server-loops", "event loops of each server")
	flags.StringVar(&o.peersDir, "peers-dir", "bench/peers", "build the peers from `folder`")
	flags.StringVar(&o.jsonPath, "json", "", "write the report to `file` for machines, and for compare")
	flags.StringVar(&o.htmlPath, "html", "", "write the report to `file` with charts")
	flags.StringVar(&o.markdownPath, "md", "", "write the report to `file` as markdown")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	flags.BoolVar(&o.keepGoing, "keep-going", o.keepGoing, "note a server that fails, and go on with the others")
}

// newBenchOptions has the defaults.
func newBenchOptions() benchOptions {
	servers, clients := scenario.DefaultCPUs()
	return benchOptions{
		servers:   []string{report.Floor, report.Ours},
		serverCPU: servers.String(), clientCPU: clients.String(), serverLoops: 1,
	}
}

// run measures specs and shows what was measured, also after a failure.
func (o *benchOptions) run(ctx context.Context, std cli.Stdio, specs []scenario.Spec) (*report.Report, error) {
	if err := o.checkPaths(); err != nil {
		return nil, err
	}
	if o.target != "" {
		to, err := cli.ParseAddress(o.target)
		if err != nil {
			return nil, cli.Usagef("--target: %s", err)
		}
		o.target = to.URL
	} else if o.greeting > 0 || o.pid > 0 {
		return nil, cli.Usagef("--greeting and --pid are for --target: servers that bench starts do not greet, and their process is known")
	}
	for i := range specs {
		specs[i].Greeting = o.greeting
	}
	r, err := o.measure(ctx, std, specs)
	err = o.mayGreet(err)
	if ctx.Err() != nil {
		err = errors.New("interrupted: only rounds that were over are reported")
	}
	if r == nil || !r.Measured() {
		if err == nil {
			err = nobodyCan(r)
		}
		return nil, usageIfConfig(err)
	}
	if err := r.WriteMarkdown(std.Out); err != nil {
		return nil, err
	}
	for path, write := range map[string]func(*os.File) error{
		o.jsonPath:     func(f *os.File) error { return r.WriteJSON(f) },
		o.htmlPath:     func(f *os.File) error { return r.WriteHTML(f) },
		o.markdownPath: func(f *os.File) error { return r.WriteMarkdown(f) },
	} {
		if path != "" {
			err = errors.Join(err, writeFile(path, write))
		}
	}
	if err == nil {
		err = r.Failure()
	}
	return r, usageIfConfig(err)
}

// mayGreet adds --greeting as the remedy to an error about an unexpected message.
func (o *benchOptions) mayGreet(err error) error {
	fault, ok := errors.AsType[*load.FaultError](err)
	if !ok || o.target == "" || fault.Faults.Corrupt == 0 {
		return err
	}
	return fmt.Errorf("%w; if it greets, say by how many messages with --greeting", err)
}

// nobodyCan says why there is nothing in r.
func nobodyCan(r *report.Report) error {
	first := r.Results[0]
	return fmt.Errorf("%s: none of the servers can do what it needs (%s: %s): choose others with --servers", first.Scenario, first.Server, first.Missing)
}

// checkPaths finds out before the run what would lose its reports.
func (o *benchOptions) checkPaths() error {
	flags := make(map[string]string)
	for _, f := range []struct{ flag, path string }{{"--json", o.jsonPath}, {"--html", o.htmlPath}, {"--md", o.markdownPath}} {
		if f.path == "" {
			continue
		}
		if other, taken := flags[f.path]; taken {
			return cli.Usagef("%s and %s name the same file %s: give each its own", other, f.flag, f.path)
		}
		flags[f.path] = f.flag
		if dir, err := os.Stat(filepath.Dir(f.path)); err != nil || !dir.IsDir() {
			return fmt.Errorf("%s %s: its folder does not exist: make it, or choose another file", f.flag, f.path)
		}
	}
	return nil
}

// usageIfConfig makes wrong usage of a setting that cannot be used.
func usageIfConfig(err error) error {
	if config, ok := errors.AsType[*load.ConfigError](err); ok {
		return cli.Usagef("%s", config.Reason)
	}
	return err
}

// named is usageIfConfig for a setting that is all in one flag.
func named(flag string, err error) error {
	if config, ok := errors.AsType[*load.ConfigError](err); ok {
		return cli.Usagef("%s: %s", flag, config.Reason)
	}
	return err
}

func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// measure runs specs; the report holds what was measured before an error.
func (o *benchOptions) measure(ctx context.Context, std cli.Stdio, specs []scenario.Spec) (*report.Report, error) {
	servers, err := scenario.ParseCPUs(o.serverCPU)
	if err != nil {
		return nil, named("--server-cpus", err)
	}
	clients, err := scenario.ParseCPUs(o.clientCPU)
	if err != nil {
		return nil, named("--client-cpus", err)
	}
	for _, s := range specs {
		if err := s.Check(); err != nil {
			return nil, err
		}
	}
	if o.target == "" && !slices.Contains(o.servers, "all") {
		if _, err := o.baseNames(o.servers); err != nil {
			return nil, err // before anything is built
		}
	}
	dir, err := os.MkdirTemp("", "fanloop-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start it as server and client: %w", err)
	}
	found, err := o.find(ctx, dir, self)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range found.Servers {
		names = append(names, s.Name)
	}
	bases, err := o.baseNames(names)
	if err != nil {
		return nil, err
	}
	own := load.MeasureResolution(ctx)
	r := &report.Report{
		Time: time.Now(), Machine: report.ThisMachine(ctx), Command: append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...),
		Servers: servers.String(), Clients: clients.String(),
		Harness: report.Harness{ClockNanos: own.Read, StepNanos: own.Step, LateMicros: float64(own.Late.Nanoseconds()) / 1e3},
		Bases:   bases, Versions: found.Versions, Missing: found.Missing,
	}
	p := newProgress(std.Err, o.quiet)
	defer p.finish()
	r.Results, err = scenario.Run(ctx, scenario.Config{
		Specs: specs, Servers: found.Servers, ServerCPU: servers, ClientCPU: clients,
		Generator: []string{self, "bench", "load"}, Progress: p.show, KeepGoing: o.keepGoing,
	})
	return r, err
}

// find resolves the servers of the run.
func (o *benchOptions) find(ctx context.Context, dir, self string) (scenario.Found, error) {
	if o.target != "" {
		return scenario.Found{Servers: []scenario.Server{{Name: o.target, Target: o.target, PID: o.pid, Does: scenario.DoesAsItStands(), Topics: true}}}, nil
	}
	catalog := scenario.Catalog{Dir: dir, PeersDir: o.peersDir, Loops: o.serverLoops,
		Self: []string{self, "bench", "serve", "--addr", "{addr}", "--loops", "{loops}"}}
	found, err := catalog.Find(ctx, o.servers)
	return found, named("--servers", err)
}

// baseNames are the servers, of those in a list, that all are compared with.
func (o *benchOptions) baseNames(servers []string) ([]string, error) {
	var names []string
	for _, text := range servers {
		name, _, _ := strings.Cut(text, "=")
		names = append(names, name)
	}
	switch {
	case len(names) == 0:
		return nil, nil
	case len(o.bases) == 0 && slices.Contains(names, report.Floor):
		return []string{report.Floor}, nil
	case len(o.bases) == 0:
		return names[:1], nil
	}
	for _, name := range o.bases {
		if !slices.Contains(names, name) {
			return nil, cli.Usagef("--base %s is not measured: want one of %s", name, strings.Join(names, ", "))
		}
	}
	return o.bases, nil
}
