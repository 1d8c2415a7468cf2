package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/bench/report"
)

func newBenchCompare(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE.json AFTER.json",
		Short: "Show what changed between two runs, and whether it exceeds the noise",
		Long: `compare tests every figure of every server and scenario that both runs have with
the test of benchstat (Mann-Whitney U, 5 %). "~" means that the difference does
not exceed the noise. Four rounds or more on both sides are needed to tell.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("compare takes two files that bench --json wrote, and there are %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := readReport(args[0])
			if err != nil {
				return err
			}
			after, err := readReport(args[1])
			if err != nil {
				return err
			}
			return report.Compare(std.out, before, after)
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
