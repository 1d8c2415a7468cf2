package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// wrongByType are values that no flag of a type takes.
var wrongByType = map[string][]string{
	"bool":     {"perhaps", "2", ""},
	"n":        {"x", "-1", "1.5", "", "99999999999999999999"},
	"duration": {"x", "-1s", "5", ""},
	"size":     {"x", "-1", "1K", "", "99999999999999999999"},
	"bits":     {"x", "7", "16", "-1"},
	"code":     {"x", "999", "1006", "5000", ""},
	"kind":     {"nosuch", ""},
	"level":    {"loud", ""},
	"messages": {"x", "-1", "NaN", "Inf", ""},
	"part":     {"x", "-1", "1", "NaN", ""},
}

// wrongByName are values that a flag of text does not take, with the other
// arguments that it needs.
var wrongByName = map[string][][]string{
	"addr":             {{"localhost"}, {"127.0.0.1:70000"}},
	"address":          {{"localhost"}, {"https://a/b"}},
	"admin":            {{"localhost"}, {"0.0.0.0:0"}, {"127.0.0.1:99999"}},
	"base":             {{"nosuch"}},
	"client-cpus":      {{"x"}, {"-1"}},
	"close-reason":     {{strings.Repeat("x", 124)}, {"\xff"}, {"x", "--close-code", "0"}},
	"cluster":          {{"localhost"}, {"127.0.0.1:1"}, {"127.0.0.1:9", "--routes", "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3", "--data-dir", "x"}},
	"header":           {{"Nothing"}, {"Host: x"}, {"A b: x"}, {"A: \x01"}},
	"listen":           {{"localhost"}, {"127.0.0.1:99999"}, {"0.0.0.0:0"}},
	"name":             {{"a b"}, {"a.b"}},
	"nats-listen":      {{"localhost"}, {"0.0.0.0:1"}},
	"nats-secret-file": {{"/nowhere/a"}},
	"nats":             {{"ftp://127.0.0.1"}, {"a b"}},
	"origins":          {{"example.com"}, {"a b"}},
	"routes":           {{"localhost"}},
	"origin":           {{"example.com"}, {"a b"}},
	"peer":             {{"nosuch", "--peers-dir", "../../bench/peers"}},
	"pprof":            {{"localhost"}},
	"proxy":            {{"ftp://127.0.0.1"}, {"127.0.0.1"}},
	"proxy-header":     {{"x"}, {"proxy-protocol"}},
	"proxy-protocol":   {{"10.0.0"}},
	"scenarios":        {{"walk5"}, {""}},
	"server-cpus":      {{"x"}, {"-1"}},
	"servers":          {{"nosuch"}, {""}, {"x=y"}},
	"subprotocol":      {{"a b"}, {"chat,chat"}},
	"target":           {{"nosuch://127.0.0.1"}, {"ws://"}},
	"url":              {{"ftp://127.0.0.1"}, {"ws://"}, {"wss://127.0.0.1:1"}},
	"trusted-proxies":  {{"10.0.0"}, {"proxy.example"}},
	"unix":             {{strings.Repeat("x", 120)}},
}

// takesAnything are the flags whose values only the file system can refuse, which
// is a failure and no wrong usage, and the two that cobra gives to every command.
var takesAnything = []string{
	"tls-cert", "tls-key", "tls-ca", "tls-client-ca", "peers-dir", "dir", "json", "html", "md", "out", "config", "data-dir",
	"admin-tls-cert", "admin-tls-key", "admin-client-ca", "help", "version",
}

// Every flag of every command refuses what it cannot mean, at once, in one line
// that names it, with status 2.
func TestWrongValueOfAnyFlagIsUsage(t *testing.T) {
	everyCommand(newRoot(cli.Stdio{}), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if slices.Contains(takesAnything, f.Name) {
				return
			}
			wrong := wrongByName[f.Name]
			for _, value := range wrongByType[f.Value.Type()] {
				wrong = append(wrong, []string{value})
			}
			if len(wrong) == 0 {
				t.Errorf("%s --%s: the test knows no wrong value", cmd.CommandPath(), f.Name)
			}
			for _, k := range wrong {
				args := append(strings.Fields(cmd.CommandPath())[1:], "--"+f.Name+"="+k[0])
				args = append(args, k[1:]...)
				if cmd.Name() == "dial" {
					args = append(args, "ws://127.0.0.1:1/")
				}
				wantUsage(t, f.Name, args)
			}
		})
	})
}

// everyCommand calls fn for those that do something.
func everyCommand(cmd *cobra.Command, fn func(*cobra.Command)) {
	if len(cmd.Commands()) == 0 && cmd.Name() != "load" && cmd.Parent().Name() != "completion" {
		fn(cmd)
	}
	for _, sub := range cmd.Commands() {
		everyCommand(sub, fn)
	}
}

func wantUsage(t *testing.T, flag string, args []string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	var out, err bytes.Buffer
	code := run(ctx, args, cli.Stdio{In: strings.NewReader(""), Out: &out, Err: &err})
	first, hint, _ := strings.Cut(err.String(), "\n")
	if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(first, "fanloop: ") || !strings.HasPrefix(hint, "Run 'fanloop ") || strings.Count(hint, "\n") != 1 {
		t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, &out, &err)
	}
	if ctx.Err() != nil {
		t.Errorf("%q: not refused at once", args)
	}
	if !strings.Contains(first, flag) {
		t.Errorf("%q: %q does not name --%s", args, first, flag)
	}
}

// Positional arguments and what is spelled nearly right.
func TestNearlyRightIsToldWhatWasMeant(t *testing.T) {
	for args, want := range map[string]string{
		"ehco":                            `unknown command "ehco"; did you mean echo?`,
		"help dail":                       `unknown command "dail"; did you mean dial?`,
		"bench fanuot":                    `unknown command "fanuot"; did you mean fanout?`,
		"completion bahs":                 `unknown command "bahs"; did you mean bash?`,
		"dial ws://a --inscure":           "unknown flag: --inscure; did you mean --insecure?",
		"dial ws://a -insecure":           "unknown shorthand flag: 'i' in -insecure; did you mean --insecure?",
		"dial ws://a -verbose":            "unknown shorthand flag: 'e' in -erbose; did you mean --verbose?",
		"echo --max-mesage 1":             "unknown flag: --max-mesage; did you mean --max-message?",
		"echo --log-level=wran":           `--log-level "wran": want debug, info, warn or error; did you mean warn?`,
		"bench echo --compression=deflat": `--compression "deflat": want off, deflate or takeover; did you mean deflate?`,
		"dial wz://127.0.0.1":             `"wz://127.0.0.1" is not a WebSocket URL: write it like ws://127.0.0.1:9001/path; did you mean ws?`,
		"bench serve --peer gorila --peers-dir ../../bench/peers": "did you mean gorilla?",
	} {
		got := command(t, "", nil, strings.Fields(args)...)
		if first, _, _ := strings.Cut(got.err, "\n"); got.code != exitUsage || !strings.HasSuffix(first, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

func TestShellCompletesCommandsFlagsAndValues(t *testing.T) {
	const nothingMore, files, folders = ":4\n", ":0\n", ":16\n"
	for args, want := range map[string]string{
		"ech":                                "echo\tRun",
		"dial --insec":                       "--insecure\t",
		"echo --compression ":                "off\non\ntakeover\n" + nothingMore,
		"echo --log-level ":                  "debug\ninfo\nwarn\nerror\n" + nothingMore,
		"echo --max-message ":                nothingMore,
		"echo --tls-cert ":                   files,
		"bench echo --peers-dir ":            folders,
		"bench echo --payload ":              "noise\njson\n" + nothingMore,
		"bench suite --scenarios cost,echo1": "cost,echo1x64\n",
		"bench compare ":                     "json\n:8\n",
		"dial ":                              nothingMore,
		"bench echo --peers-dir ../../bench/peers --servers floor,gor": "floor,gorilla\n",
	} {
		words := strings.Split(args, " ")
		got := command(t, "", nil, append([]string{"__complete"}, words...)...)
		if got.code != exitOK || !strings.Contains(got.out, want) {
			t.Errorf("%q: %+v, want %q", args, got, want)
		}
	}
}

func TestShortFlagsAreThoseOfOtherTools(t *testing.T) {
	short := map[string]map[string]string{
		"dial":       {"H": "header", "s": "subprotocol", "k": "insecure", "v": "verbose", "q": "quiet", "o": "origin", "b": "binary", "n": "count", "w": "wait", "x": "proxy"},
		"echo":       {"a": "addr", "s": "subprotocol", "o": "origin", "q": "quiet"},
		"bench echo": {"c": "conns", "d": "duration", "r": "rate", "q": "quiet", "t": "target"},
	}
	root := newRoot(cli.Stdio{Out: io.Discard, Err: io.Discard})
	for name, flags := range short {
		cmd, _, err := root.Find(strings.Fields(name))
		if err != nil {
			t.Fatal(err)
		}
		for letter, long := range flags {
			if f := cmd.Flags().ShorthandLookup(letter); f == nil || f.Name != long {
				t.Errorf("%s -%s is not --%s", name, letter, long)
			}
		}
	}
}

func TestVersionFlagIsTheVersionCommand(t *testing.T) {
	want := command(t, "", nil, "version")
	for _, flag := range []string{"--version", "-V"} {
		if got := command(t, "", nil, flag); got != want || got.code != exitOK {
			t.Errorf("%s: %+v, want %+v", flag, got, want)
		}
	}
}
