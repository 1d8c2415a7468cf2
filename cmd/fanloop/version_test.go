package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionComesFromTheLinkerOrElseFromTheBuild(t *testing.T) {
	t.Cleanup(func() { version, commit, date = "", "", "" })
	built := "go        " + runtime.Version() + "\nplatform  " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "false"},
	}}
	info.Main.Version = "v0.1.0"
	check := func(info *debug.BuildInfo, want string) {
		t.Helper()
		if got := describe(info); got != want+built {
			t.Errorf("got\n%swant\n%s", got, want+built)
		}
	}
	check(info, "fanloop   v0.1.0\ncommit    abc\ndate      2026-01-02T03:04:05Z\n")
	info.Settings[2].Value = "true"
	check(info, "fanloop   v0.1.0\ncommit    abc with changes\ndate      2026-01-02T03:04:05Z\n")
	check(nil, "fanloop   unknown version\n")
	version, commit, date = "v9", "def", "today"
	check(info, "fanloop   v9\ncommit    def\ndate      today\n")
}

func TestVersionCommand(t *testing.T) {
	got := command(t, "", nil, "version")
	if got.code != exitOK || got.err != "" || !strings.HasPrefix(got.out, "fanloop ") || !strings.Contains(got.out, runtime.Version()) {
		t.Errorf("%+v", got)
	}
}
