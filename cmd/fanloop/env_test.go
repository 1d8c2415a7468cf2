package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

func TestVariableStandsInForItsFlag(t *testing.T) {
	p := start(t, nil, []string{"FANLOOP_ECHO_ADDR=127.0.0.1:0", "FANLOOP_ECHO_SUBPROTOCOL=v2,v1", "FANLOOP_ECHO_MAX_MESSAGE=1KiB"}, "echo")
	addr := strings.Fields(p.out.await(t, "\n"))[3]
	ws := dialURL(t, addr, http.Header{"Sec-Websocket-Protocol": {"v1, v2"}})
	if got := ws.Subprotocol(); got != "v2" {
		t.Errorf("subprotocol %q, want v2", got)
	}
	if err := ws.WriteMessage(websocket.BinaryMessage, make([]byte, 1025)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("1025 bytes: %v, want 1009", err)
	}
}

func TestFlagWinsOverVariableAndVariableOverDefault(t *testing.T) {
	for _, k := range []struct{ flag, variable, want string }{
		{"", "", "1MiB"}, // an empty variable is none
		{"", "2KiB", "2KiB"},
		{"1KiB", "2KiB", "1KiB"},
		{"1KiB", "wrong", "1KiB"},
		{"1MiB", "2KiB", "1MiB"}, // though it is the default
	} {
		t.Setenv("FANLOOP_ECHO_MAX_MESSAGE", k.variable)
		cmd := subcommand(t, "echo")
		flags := cmd.Flags()
		if k.flag != "" {
			if err := flags.Parse([]string{"--max-message", k.flag}); err != nil {
				t.Fatal(err)
			}
		}
		err := cli.ApplyEnvironment(cmd)
		if got := flags.Lookup("max-message").Value.String(); err != nil || got != k.want {
			t.Errorf("flag %q, variable %q: %s, %v; want %s", k.flag, k.variable, got, err, k.want)
		}
	}
}

func TestListsInVariables(t *testing.T) {
	t.Setenv("FANLOOP_DIAL_HEADER", "A: 1, 2\n\n  B: 3\n")
	t.Setenv("FANLOOP_DIAL_SUBPROTOCOL", "v2,v1")
	cmd := subcommand(t, "dial")
	flags := cmd.Flags()
	if err := cli.ApplyEnvironment(cmd); err != nil {
		t.Fatal(err)
	}
	headers, err := flags.GetStringArray("header")
	if got := strings.Join(headers, "|"); err != nil || got != "A: 1, 2|B: 3" {
		t.Errorf("headers %q, %v; want one a line", got, err)
	}
	names, err := flags.GetStringSlice("subprotocol")
	if got := strings.Join(names, "|"); err != nil || got != "v2|v1" {
		t.Errorf("subprotocols %q, %v; want two", got, err)
	}
}

func TestBadVariableIsOneLineAndExitCodeTwo(t *testing.T) {
	for variable, want := range map[string]string{
		"FANLOOP_ECHO_MAX_MESSAGE=1x":        `FANLOOP_ECHO_MAX_MESSAGE="1x": want a size in bytes like 65536, 64KiB or 1MiB`,
		"FANLOOP_ECHO_LOOPS=-1":              `FANLOOP_ECHO_LOOPS="-1": want a whole number that is not negative`,
		"FANLOOP_ECHO_HANDSHAKE_TIMEOUT=0":   `FANLOOP_ECHO_HANDSHAKE_TIMEOUT="0": want a duration above 0, like 500ms or 10s`,
		"FANLOOP_ECHO_IDLE_TIMEOUT=5":        `FANLOOP_ECHO_IDLE_TIMEOUT="5": want a duration like 500ms, 10s or 2m`,
		"FANLOOP_ECHO_LOG_LEVEL=loud":        `FANLOOP_ECHO_LOG_LEVEL="loud": want debug, info, warn or error`,
		"FANLOOP_ECHO_QUIET=perhaps":         `FANLOOP_ECHO_QUIET="perhaps": want true or false`,
		"FANLOOP_ECHO_ORIGIN=example.com,\"": `FANLOOP_ECHO_ORIGIN="example.com,\"": `,
	} {
		got := command(t, "", []string{variable}, "echo", "--addr", "127.0.0.1:0")
		first, hint, _ := strings.Cut(got.err, "\n")
		if got.code != exitUsage || got.out != "" || !strings.HasPrefix(first, "fanloop: "+want) ||
			hint != "Run 'fanloop echo --help' for usage.\n" {
			t.Errorf("%s: %+v, want %s", variable, got, want)
		}
	}
}

func TestAllBadVariablesAreNamed(t *testing.T) {
	got := command(t, "", []string{"FANLOOP_ECHO_MAX_MESSAGE=1x", "FANLOOP_ECHO_LOOPS=-1"}, "echo", "--addr", "127.0.0.1:0")
	for _, variable := range []string{"FANLOOP_ECHO_MAX_MESSAGE", "FANLOOP_ECHO_LOOPS"} {
		if got.code != exitUsage || !strings.Contains(got.err, variable+"=") {
			t.Errorf("%+v, want %s", got, variable)
		}
	}
}

func TestHelpNamesTheVariableOfEveryFlag(t *testing.T) {
	root := newRoot(cli.Stdio{Out: io.Discard, Err: io.Discard})
	names := make(map[string]string) // of variables, and the command
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		help := cmd.UsageString()
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			name := cli.Variable(cmd, f)
			if cli.HasVariable(f) && !strings.Contains(help, "[$"+name+"]") {
				t.Errorf("%s --help does not name %s", cmd.CommandPath(), name)
			}
			if other := names[name]; cli.HasVariable(f) && other != "" {
				t.Errorf("%s is a variable of %s and of %s", name, cmd.CommandPath(), other)
			}
			names[name] = cmd.CommandPath()
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if names["FANLOOP_DIAL_TLS_CERT"] == "" || names["FANLOOP_BENCH_SERVE_LOOPS"] == "" {
		t.Errorf("the variables are %v", names)
	}
}

// A variable that meant the server's certificate must not become the client's.
func TestVariableIsForOneCommandOnly(t *testing.T) {
	s := startEcho(t)
	env := []string{"FANLOOP_ECHO_TLS_CERT=missing", "FANLOOP_ECHO_COMPRESSION=deflate", "FANLOOP_TLS_CERT=missing"}
	got := command(t, "hello\n", env, "dial", s.url("/"), "--count", "1", "--quiet")
	if want := (result{exitOK, "hello\n", ""}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// subcommand is a command of the program.
func subcommand(t *testing.T, name string) *cobra.Command {
	t.Helper()
	cmd, _, err := newRoot(cli.Stdio{}).Find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}
