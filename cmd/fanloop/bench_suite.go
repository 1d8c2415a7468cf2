package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
)

// suiteScenarios is what make bench runs.
const suiteScenarios = "echo200x64,echo200x1k,echo200x16k,echo5000x64,echo200x64@10000," +
	"fanout5000x128,fanout5000x128b20,connect64,idle10000,slow100x16k@100,storm2000," +
	"echo200x1k+tls,fanout5000x1k+deflate,connect64+tls,idle5000+tls,idle5000+takeover"

// benchSuiteOptions are the flags of fanloop bench suite.
type benchSuiteOptions struct {
	benchOptions
	scenarios []string
	rounds    int
	window    time.Duration
	out       string
}

func newBenchSuite(std stdio) *cobra.Command {
	o := benchSuiteOptions{
		benchOptions: newBenchOptions(),
		scenarios:    strings.Split(suiteScenarios, ","),
		rounds:       4, // the fewest that compare can tell apart
		window:       800 * time.Millisecond,
	}
	o.servers, o.keepGoing = []string{"all"}, true
	cmd := &cobra.Command{
		Use:   "suite [flags]",
		Short: "Run many scenarios on many servers and keep the reports",
		Long: `suite runs scenarios named KIND[CONNS][xBYTES[k]][iINFLIGHT][bBURST][pPUBLISHERS]
[tTOPICS][@RATE][+tls][+json|+deflate|+takeover]: fanout5000x128b20 is a fan-out
to 5000 connections of messages of 128 bytes in bursts of 20. A server that fails,
or cannot do what a scenario needs, is noted and the others go on.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), std) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&o.scenarios, "scenarios", o.scenarios, "`names` of the scenarios")
	countFlag(flags, &o.rounds, "rounds", "rounds of every server, in turn")
	durationFlag(flags, &o.window, "duration", "measured time of a round")
	flags.StringVar(&o.out, "out", "", "`folder` to write DATE-COMMIT.json, .html and .md to")
	o.flags(flags)
	return cmd
}

func (o *benchSuiteOptions) run(ctx context.Context, std stdio) error {
	var specs []scenario.Spec
	for _, name := range o.scenarios {
		s, err := scenario.ParseSpec(strings.TrimSpace(name))
		if err != nil {
			return usageIfConfig(err)
		}
		s.Rounds, s.Window = o.rounds, o.window
		if s.Kind == scenario.Idle || s.Kind == scenario.Slow {
			s.Rounds = max(1, o.rounds/4) // they start every server anew
		}
		if s.Kind == scenario.Slow {
			s.Window *= 5 // the buffers of the kernel have to fill first
		}
		specs = append(specs, s)
	}
	if o.rounds == 0 || o.window == 0 || len(specs) == 0 {
		return usagef("--rounds and --duration must be 1 or more, and there must be --scenarios")
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
		fmt.Fprintf(std.err, "wrote %s, %s and %s\n", o.jsonPath, o.htmlPath, o.markdownPath)
	}
	return err
}
