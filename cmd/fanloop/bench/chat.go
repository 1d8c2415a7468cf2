package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/bench/chat"
	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// chatOptions are the flags of fanloop bench chat.
type chatOptions struct {
	benchOptions // those that are about servers, CPUs and reports
	chat.Config
	preset chat.Preset
	seed   int
	rounds int
}

func newBenchChat(std cli.Stdio) *cobra.Command {
	o := chatOptions{benchOptions: newBenchOptions(), Config: chat.Default(), preset: chat.NoPreset, seed: 1, rounds: 1}
	cmd := &cobra.Command{
		Use:   "chat [flags]",
		Short: "Users in the rooms of a chat service, by its own protocol",
		Long: `chat has users connect to a chat service, subscribe to their rooms and publish. Some
only read; some are cut off and come back by their positions; some read history. The
seed decides who does what when. Every user has to get every message of its rooms once,
in the order of offsets and as it was published: a message that is missing, doubled, out
of order, foreign or damaged fails the run.

It starts the service itself: this program, on a loopback address, with a temporary
folder for its messages, and without limits for addresses and for commands of users, as
all users share a few addresses. --url measures one that runs; it has to allow as much.

Latencies count from the time at which a publish was due: "p99" and so on to each
delivery, "stored" to the publish's answer. What was published while a user was away is
"recovered", and in none of them. CPU and RSS are those of the service's process, its
NATS server included; RSS/conn is what all users together add to that of the empty
service, for each of them.

Presets: big-room has 10 000 users in one room and 20 messages a second, many-rooms 10 000
users in 1000 rooms and 1000 messages a second. Flags change either.`,
		Example: `  fanloop bench chat
  fanloop bench chat --preset big-room --html room.html
  fanloop bench chat --users 5000 --rooms 200 --sizes zipf --rate 300
  fanloop bench chat --url ws://127.0.0.1:8000/v1/socket --pid 4711`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.usePreset(cmd.Flags()); err != nil {
				return err
			}
			return o.run(cmd.Context(), std)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.chatFlags(flags)
	return cmd
}

func (o *chatOptions) chatFlags(flags *pflag.FlagSet) {
	c := &o.Config
	cli.ChoiceFlag(flags, &o.preset, "preset", "none, big-room or many-rooms", chat.NoPreset, chat.BigRoom, chat.ManyRooms)
	cli.CountFlag(flags, &c.Users, "users,c", "users, with one connection each")
	cli.CountFlag(flags, &c.Rooms, "rooms", "rooms")
	cli.CountFlag(flags, &c.PerUser, "rooms-per-user", "rooms of each user")
	cli.ChoiceFlag(flags, &c.Sizes, "sizes", "sizes of rooms: equal, or zipf, where the n-th has 1/n of the first", chat.Equal, chat.Zipf)
	cli.CountFlag(flags, &c.Talkers, "talkers", "users who publish, the others only read; 0: all")
	cli.RateFlag(flags, &c.Rate, "rate,r", "messages a second, of all talkers together")
	cli.CountFlag(flags, &c.Size, "size", "bytes of a message's data")
	cli.ShareFlag(flags, &c.Cuts, "reconnects", "part of the users that is cut off once, and comes back")
	cli.DurationFlag(flags, &c.Away, "away", "how long they are away at most")
	cli.RateFlag(flags, &c.Reads, "reads", "pages of history that are read in a second")
	flags.BoolVar(&c.Presence, "presence", c.Presence, "users see who is in their rooms")
	cli.ChoiceFlag(flags, &c.Encoding, "encoding", "of the protocol: json or cbor", chat.JSON, chat.CBOR)
	cli.DurationFlag(flags, &c.Time, "duration,d", "measured time of a round")
	cli.DurationFlag(flags, &c.WarmUp, "warm-up", "time of talk before it, which is checked and not measured")
	cli.CountFlag(flags, &o.rounds, "rounds", "rounds, each with a service that it starts anew")
	cli.CountFlag(flags, &c.Opening, "connecting", "users that connect at once")
	cli.DurationFlag(flags, &c.Deadline, "deadline", "longest silence while something is due")
	cli.CountFlag(flags, &o.seed, "seed", "who does what when")
	flags.StringVar(&c.URL, "url", "", "measure the service whose socket is at `URL`, which runs already")
	cli.CountFlag(flags, &c.PID, "pid", "read CPU time and memory of --url from this process; 0: not at all")
	flags.StringVar(&c.Admin, "admin", "", "ask the operators' address at `URL` for the heap of --url")
	flags.StringVar(&o.serverCPU, "server-cpus", o.serverCPU, "run the service on the CPUs in `list`, or any")
	flags.StringVar(&o.clientCPU, "client-cpus", o.clientCPU, "run the users on the CPUs in `list`, or any")
	flags.StringVar(&o.jsonPath, "json", "", "write the report to `file` for machines, and for compare")
	flags.StringVar(&o.htmlPath, "html", "", "write the report to `file` with charts")
	flags.StringVar(&o.markdownPath, "md", "", "write the report to `file` as markdown")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
}

// usePreset gives flags that are not set the values of the preset.
func (o *chatOptions) usePreset(flags *pflag.FlagSet) (err error) {
	given := make(map[string]string)
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	o.Config = o.preset.Config()
	for name, text := range given {
		err = errors.Join(err, flags.Set(name, text))
	}
	o.Config.Seed = uint64(o.seed)
	return err
}

func (o *chatOptions) run(ctx context.Context, std cli.Stdio) error {
	if err := o.checkChat(); err != nil {
		return err
	}
	servers, err := scenario.ParseCPUs(o.serverCPU)
	if err != nil {
		return named("--server-cpus", err)
	}
	clients, err := scenario.ParseCPUs(o.clientCPU)
	if err != nil {
		return named("--client-cpus", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to start it as service and users: %w", err)
	}
	own := load.MeasureResolution(ctx)
	r := &report.Report{
		Time: time.Now(), Machine: report.ThisMachine(ctx), Command: append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...),
		Servers: servers.String(), Clients: clients.String(),
		Harness: report.Harness{ClockNanos: own.Read, StepNanos: own.Step, LateMicros: float64(own.Late.Nanoseconds()) / 1e3},
	}
	one := report.Result{Scenario: o.Config.Name(), Kind: "chat", Server: report.Ours}
	users := chat.Remote{Command: []string{self, "bench", "users"}, CPUs: clients}
	p := newProgress(std.Err, o.quiet)
	var notes []string
	for n := range o.rounds {
		result, failed := o.round(ctx, self, servers, users, func(text string) { p.line(fmt.Sprintf("round %d/%d %s", n+1, o.rounds, text)) })
		if result != nil {
			one.Rounds = append(one.Rounds, result.Figures)
			one.Latency.Add(result.Latency)
			notes = append(notes, result.Notes...)
		}
		if err = failed; err != nil {
			break
		}
	}
	p.finish()
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if len(one.Rounds) == 0 {
		return usageIfConfig(err)
	}
	if err != nil {
		one.Failed = err.Error()
	}
	r.Results = []report.Result{one}
	return errors.Join(err, o.show(std, r, notes))
}

// checkChat finds out before the run what is wrong with the flags.
func (o *chatOptions) checkChat() error {
	if o.rounds == 0 {
		return cli.Usagef("--rounds must be 1 or more")
	}
	if err := o.Check(); err != nil {
		return usageIfConfig(err)
	}
	if o.URL == "" && (o.PID > 0 || o.Admin != "") {
		return cli.Usagef("--pid and --admin are for --url: of a service that bench starts both are known")
	}
	if o.URL != "" {
		to, err := socketOf(o.URL)
		if err != nil {
			return cli.Usagef("--url: %s", err)
		}
		o.URL = to
	}
	return o.checkPaths()
}

// socketOf is the URL of a service's socket, of which text may be a part.
func socketOf(text string) (string, error) {
	to, err := cli.ParseAddress(text)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(to.URL)
	if err != nil || u.Scheme != "ws" {
		return "", fmt.Errorf("%q: want ws://host:port/v1/socket; users do not speak TLS", text)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/socket"
	}
	return u.String(), nil
}

// round measures once: the service at --url, or a new one.
func (o *chatOptions) round(ctx context.Context, self string, cpus scenario.CPUs, users chat.Remote, show func(string)) (*chat.Result, error) {
	c := o.Config
	if c.URL != "" {
		return users.Run(ctx, c, show)
	}
	show("start the service")
	s, err := chat.StartService(ctx, self, cpus)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	c.URL, c.Admin = s.URL, s.Admin
	if load.HasProcessCPU { // and memory
		c.PID, c.GivesBack = s.PID(), true
	}
	result, err := users.Run(ctx, c, show)
	return result, s.Blame(err)
}

// show writes what was measured.
func (o *chatOptions) show(std cli.Stdio, r *report.Report, notes []string) error {
	rows := chatRows(o.preset, r, notes)
	w := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		row(w, cells[0], "%s", cells[1])
	}
	err := w.Flush()
	for path, write := range map[string]func(*os.File) error{
		o.jsonPath:     func(f *os.File) error { return r.WriteJSON(f) },
		o.htmlPath:     func(f *os.File) error { return r.WriteHTML(f) },
		o.markdownPath: func(f *os.File) error { return chatMarkdown(f, r, rows) },
	} {
		if path != "" {
			err = errors.Join(err, writeFile(path, write))
		}
	}
	return err
}

// chatRows are the medians of the figures, and the goals of the preset.
func chatRows(p chat.Preset, r *report.Report, notes []string) (rows [][2]string) {
	one := r.Results[0]
	figures := make(report.Round)
	rows = append(rows, [2]string{"scenario", one.Scenario})
	summary := r.Summaries(one.Scenario)[0]
	for _, m := range report.Metrics {
		if f, ok := summary.Figures[m.Key]; ok && !m.Quiet {
			figures[m.Key] = f.Median
			rows = append(rows, [2]string{m.Title, m.Format(f.Median)})
		}
	}
	rows = append(rows, p.Goals(figures)...)
	for _, note := range notes {
		rows = append(rows, [2]string{"note", note})
	}
	if one.Failed != "" {
		rows = append(rows, [2]string{"FAILED", one.Failed})
	}
	return rows
}

// chatMarkdown writes rows as a table, with what is needed to repeat the run.
func chatMarkdown(w io.Writer, r *report.Report, rows [][2]string) error {
	m := r.Machine
	var b strings.Builder
	fmt.Fprintf(&b, "fanloop bench chat, %s, commit %s. %s, %d CPUs, kernel %s, %s. Service on CPU %s, users on CPU %s. Medians of %d rounds.\n\n",
		r.Time.UTC().Format("2006-01-02"), m.Commit, m.CPU, m.CPUs, m.Kernel, m.Go, r.Servers, r.Clients, len(r.Results[0].Rounds))
	fmt.Fprintf(&b, "Command: `%s`\n\n| | |\n|---|---|\n", strings.Join(r.Command, " "))
	for _, cells := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", cells[0], strings.ReplaceAll(cells[1], "|", "\\|"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// newBenchUsers is the process of the users.
func newBenchUsers(std cli.Stdio) *cobra.Command {
	return &cobra.Command{
		Use:    "users",
		Hidden: true,
		Args:   cli.NoArguments,
		RunE:   func(cmd *cobra.Command, _ []string) error { return chat.Child(cmd.Context(), std.In, std.Out) },
	}
}
