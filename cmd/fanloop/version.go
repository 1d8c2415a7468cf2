package main

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// What the linker may set (-ldflags "-X main.version=v1.2.3"). Empty: what the
// go command noted in the binary counts.
var (
	version string
	commit  string
	date    string
)

func newVersion(std cli.Stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what it was built from and with",
		Args:  cli.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprint(std.Out, describe(info))
			return err
		},
	}
}

// addVersionFlag adds --version, which does the same as fanloop version.
func addVersionFlag(root *cobra.Command) {
	info, _ := debug.ReadBuildInfo()
	root.Version = describe(info)
	root.SetVersionTemplate("{{.Version}}")
	root.Flags().BoolP("version", "V", false, "print the version, and what it was built from and with")
}

// pseudo matches the version of a commit without a tag, which ends with the time
// and the commit.
var pseudo = regexp.MustCompile(`-(?:0\.)?\d{14}-([0-9a-f]{12})$`)

// describe is the text of fanloop version. info may be nil.
func describe(info *debug.BuildInfo) string {
	if info == nil {
		info = new(debug.BuildInfo)
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	if revision != "" && settings["vcs.modified"] == "true" {
		revision += " with changes"
	}
	if m := pseudo.FindStringSubmatch(info.Main.Version); m != nil && revision == "" {
		revision = m[1] // of a build that go install made
	}
	var b strings.Builder
	line := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				fmt.Fprintf(&b, "%-9s %s\n", name, v)
				return
			}
		}
	}
	line("fanloop", version, info.Main.Version, "unknown version")
	line("commit", commit, revision)
	line("date", date, settings["vcs.time"])
	line("go", runtime.Version())
	line("platform", runtime.GOOS+"/"+runtime.GOARCH)
	return b.String()
}
