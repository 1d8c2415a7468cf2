package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// costScenarios are those by which two builds are compared.
const costScenarios = "echo200x64,echo200x1k,echo200x16k,echo200x64i16,echo1x64,connect64,fanout5000x128,fanout5000x128b20,echo5000x64"

// suiteScenarios is what make bench runs.
const suiteScenarios = costScenarios + ",echo200x64@10000,idle10000,slow100x16k@100,storm2000," +
	"echo200x1k+tls,fanout5000x1k+deflate,connect64+tls,idle5000+tls,idle5000+takeover"

// benchSuiteOptions are the flags of fanloop bench suite.
type benchSuiteOptions struct {
	benchOptions
	scenarios []string
	rounds    int
	window    time.Duration
	time      time.Duration
	slice     time.Duration
	out       string
}

func newBenchSuite(std cli.Stdio) *cobra.Command {
	o := benchSuiteOptions{
		benchOptions: newBenchOptions(),
		scenarios:    strings.Split(suiteScenarios, ","),
		rounds:       report.FewestRounds,
		window:       800 * time.Millisecond,
		time:         50 * time.Second,
		slice:        100 * time.Millisecond,
	}
	o.servers, o.keepGoing = []string{"all"}, true
	cmd := &cobra.Command{
		Use:   "suite [flags]",
		Short: "Run many scenarios on many servers and keep the reports",
		Long: `suite runs scenarios named KIND[CONNS][xBYTES[k]][iINFLIGHT][bBURST][pPUBLISHERS]
[tTOPICS][@RATE][+tls][+json|+deflate|+takeover]: fanout5000x128b20 is a fan-out
to 5000 connections of messages of 128 bytes in bursts of 20. A server that fails,
or cannot do what a scenario needs, is noted and the others go on.

"--scenarios cost" stands for those that say what messages and handshakes cost in
CPU time. They take about 8 minutes, however many servers there are, as long as
none is slow.`,
		Example: `  fanloop bench suite --out bench/results
  fanloop bench suite --scenarios cost --servers floor,fanloop,old=/tmp/old/fanloop --base floor,old`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), std) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&o.scenarios, "scenarios", o.scenarios, "`names` of the scenarios; cost: those of CPU time")
	cli.DurationFlag(flags, &o.time, "time", "how long the slices of all servers in a scenario take together; five rounds of each come in any case")
	cli.DurationFlag(flags, &o.slice, "slice", "how long a server is on turn")
	cli.CountFlag(flags, &o.rounds, "rounds", "rounds of every server in scenarios without slices")
	cli.DurationFlag(flags, &o.window, "duration,d", "measured time of such a round")
	flags.StringVarP(&o.out, "out", "o", "", "`folder` to write DATE-COMMIT.json, .html and .md to")
	o.flags(flags)
	completeLists(cmd)
	return cmd
}

func (o *benchSuiteOptions) run(ctx context.Context, std cli.Stdio) error {
	specs, err := o.specs()
	if err != nil {
		return named("--scenarios", err)
	}
	if o.rounds == 0 || o.window == 0 || o.slice == 0 || len(specs) == 0 {
		return cli.Usagef("--rounds, --duration and --slice must be 1 or more, and there must be --scenarios")
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return err
		}
		m := report.ThisMachine(ctx)
		base := filepath.Join(o.out, time.Now().UTC().Format("2006-01-02")+"-"+strings.TrimSuffix(m.Commit, "+"))
		o.jsonPath, o.htmlPath, o.markdownPath = base+".json", base+".html", base+".md"
	}
	r, err := o.benchOptions.run(ctx, std, specs)
	if r != nil && o.out != "" {
		fmt.Fprintf(std.Err, "wrote %s, %s and %s\n", o.jsonPath, o.htmlPath, o.markdownPath)
	}
	return err
}

// specs reads the scenarios.
func (o *benchSuiteOptions) specs() (specs []scenario.Spec, err error) {
	names := strings.Split(strings.Join(o.scenarios, ","), ",")
	if i := slices.Index(names, "cost"); i >= 0 {
		names = slices.Replace(names, i, i+1, strings.Split(costScenarios, ",")...)
	}
	for _, name := range names {
		s, err := scenario.ParseSpec(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		s.Time, s.Slice = o.time, o.slice
		if !s.Sliced() {
			s.Rounds, s.Window = o.rounds, o.window
		}
		if s.Kind == scenario.Idle || s.Kind == scenario.Slow {
			s.Rounds = max(1, o.rounds/4) // they start every server anew
		}
		if s.Kind == scenario.Slow {
			s.Window *= 5 // the buffers of the kernel have to fill first
		}
		specs = append(specs, s)
	}
	return specs, nil
}
