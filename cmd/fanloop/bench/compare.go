package bench

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

func newBenchCompare(std cli.Stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE.json AFTER.json",
		Short: "Show what changed between two runs, and whether it exceeds the noise",
		Long: `compare shows the ratios and the figures that both runs have, and by how much
they changed, with the 95 % interval of the change. A change is better or worse if
its interval excludes 0; otherwise no difference is seen. Five rounds or more
on both sides are needed to tell. To compare two builds, measure both in one run:
bench echo --servers floor,fanloop,old=PATH --base floor,old`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cli.Usagef("compare takes two files that bench --json wrote, and there are %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions([]cobra.Completion{"json"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := readReport(args[0])
			if err != nil {
				return err
			}
			after, err := readReport(args[1])
			if err != nil {
				return err
			}
			return report.Compare(std.Out, before, after)
		},
	}
}

func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
