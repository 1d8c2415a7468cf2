package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/spf13/pflag"
)

func TestVariableStandsInForItsFlag(t *testing.T) {
	p := start(t, nil, []string{"FANLOOP_ADDR=127.0.0.1:0", "FANLOOP_SUBPROTOCOL=v2,v1", "FANLOOP_MAX_MESSAGE=1KiB"}, "echo")
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
		t.Setenv("FANLOOP_MAX_MESSAGE", k.variable)
		flags := newEcho(stdio{}).Flags()
		if k.flag != "" {
			if err := flags.Parse([]string{"--max-message", k.flag}); err != nil {
				t.Fatal(err)
			}
		}
		err := applyEnvironment(flags)
		if got := flags.Lookup("max-message").Value.String(); err != nil || got != k.want {
			t.Errorf("flag %q, variable %q: %s, %v; want %s", k.flag, k.variable, got, err, k.want)
		}
	}
}

func TestListsInVariables(t *testing.T) {
	t.Setenv("FANLOOP_HEADER", "A: 1, 2\n\n  B: 3\n")
	t.Setenv("FANLOOP_SUBPROTOCOL", "v2,v1")
	flags := newDial(stdio{}).Flags()
	if err := applyEnvironment(flags); err != nil {
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
		"FANLOOP_MAX_MESSAGE=1x":        `FANLOOP_MAX_MESSAGE="1x": want a size in bytes like 65536, 64KiB or 1MiB`,
		"FANLOOP_LOOPS=-1":              `FANLOOP_LOOPS="-1": want a whole number that is not negative`,
		"FANLOOP_HANDSHAKE_TIMEOUT=0":   `FANLOOP_HANDSHAKE_TIMEOUT="0": want a duration above 0, like 500ms or 10s`,
		"FANLOOP_IDLE_TIMEOUT=5":        `FANLOOP_IDLE_TIMEOUT="5": want a duration like 500ms, 10s or 2m`,
		"FANLOOP_LOG_LEVEL=loud":        `FANLOOP_LOG_LEVEL="loud": want debug, info, warn or error`,
		"FANLOOP_QUIET=perhaps":         `FANLOOP_QUIET="perhaps": want true or false`,
		"FANLOOP_ORIGIN=example.com,\"": `FANLOOP_ORIGIN="example.com,\"": `,
	} {
		got := command(t, "", []string{variable}, "echo", "--addr", "127.0.0.1:0")
		first, hint, _ := strings.Cut(got.err, "\n")
		if got.code != exitUsage || got.out != "" || !strings.HasPrefix(first, "fanloop: "+want) ||
			hint != "Run 'fanloop echo --help' for usage.\n" {
			t.Errorf("%s: %+v, want %s", variable, got, want)
		}
	}
}

func TestHelpNamesTheVariableOfEveryFlag(t *testing.T) {
	root := newRoot(stdio{out: io.Discard, err: io.Discard})
	for _, cmd := range root.Commands() {
		help := cmd.UsageString()
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if hasVariable(f) && !strings.Contains(help, "[$"+variable(f)+"]") {
				t.Errorf("%s --help does not name %s", cmd.Name(), variable(f))
			}
		})
	}
}
