package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// An echo server, and a client that says hello to it.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	lines, out := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"echo", "--addr", "127.0.0.1:0", "--log-level", "error"}, cli.Stdio{Out: out, Err: os.Stderr})
	}()
	ready, err := bufio.NewReader(lines).ReadString('\n')
	if err != nil {
		fmt.Println(err)
		return
	}
	url := strings.Fields(ready)[3]
	code := run(ctx, []string{"dial", url, "--count", "1"}, cli.Stdio{In: strings.NewReader("hello\n"), Out: os.Stdout, Err: io.Discard})
	fmt.Println("exit code", code)
	stop()
	fmt.Println("exit code", <-ended)
	// Output:
	// hello
	// exit code 0
	// exit code 0
}

func TestWrongUsageIsOneLineAndAHint(t *testing.T) {
	for _, k := range []struct{ args, err, hint string }{
		{"ech", `unknown command "ech"; did you mean echo?`, "fanloop"},
		{"frobnicate", `unknown command "frobnicate"`, "fanloop"},
		{"--frob", "unknown flag: --frob", "fanloop"},
		{"help frobnicate", `unknown command "frobnicate"`, "fanloop help"},
		{"echo --frob", "unknown flag: --frob", "fanloop echo"},
		{"echo -x", "unknown shorthand flag: 'x' in -x", "fanloop echo"},
		{"echo --addr", "flag needs an argument: --addr", "fanloop echo"},
		{"echo here", `echo takes no arguments, but there is "here"`, "fanloop echo"},
		{"echo --loops two", `--loops "two": want a whole number that is not negative`, "fanloop echo"},
		{"echo --quiet=so", `--quiet "so": want true or false`, "fanloop echo"},
		{"echo --origin example.com", `--origin "example.com": want an origin like https://example.com, https://*.example.com, null or *`, "fanloop echo"},
		{"echo --tls-cert x", "--tls-cert without --tls-key: give the file of its key too, which may be the same one", "fanloop echo"},
		{"echo --tls-key x", "--tls-key without --tls-cert: give the file of its certificate too", "fanloop echo"},
		{"echo --self-signed --tls-cert x --tls-key y", "--self-signed makes a certificate and --tls-cert names one: give one of them", "fanloop echo"},
		{"echo --tls-client-ca x", "--tls-client-ca is for TLS: give --tls-cert and --tls-key, or --self-signed", "fanloop echo"},
		{"echo --compression fast", `--compression "fast": want off, on or takeover`, "fanloop echo"},
		{"echo --compression on --client-window-bits 7", `--client-window-bits "7": want 8 to 15, or 0 for no bound`, "fanloop echo"},
		{"echo --server-window-bits 9", "--server-window-bits and --client-window-bits are for --compression on or takeover", "fanloop echo"},
		{"echo --proxy-protocol 10.0.0", `--proxy-protocol "10.0.0": want an address like 10.0.0.1, a network like 10.0.0.0/8, or unix`, "fanloop echo"},
		{"version now", `version takes no arguments, but there is "now"`, "fanloop version"},
		{"dial", "dial takes one URL, but there are 0 arguments", "fanloop dial"},
		{"dial ws://a ws://b", "dial takes one URL, but there are 2 arguments", "fanloop dial"},
		{"dial ws://", `"ws://" is not a WebSocket URL: write it like ws://127.0.0.1:9001/path`, "fanloop dial"},
		{"dial ws://a#b", `"ws://a#b": a WebSocket URL has no fragment; write # as %23`, "fanloop dial"},
		{"dial ws://127.0.0.1:70000/a", "ws://127.0.0.1:70000/a: its port 70000 is above 65535", "fanloop dial"},
		{"dial ws://127.0.0.1:70000 --reconnect", "ws://127.0.0.1:70000: its port 70000 is above 65535", "fanloop dial"},
		{"dial ws://\u00e4.example", "ws://%C3%A4.example: its host must be written in ASCII, as DNS has it (xn--...)", "fanloop dial"},
		{"dial ws://127.0.0.1 --proxy http://127.0.0.1:70000", "--proxy: want a URL like http://user:password@127.0.0.1:3128 or socks5://127.0.0.1:1080, or none", "fanloop dial"},
		{"dial ftp://user:secret@localhost", "[a URL with an @, not shown] is not a WebSocket URL: write it like ws://127.0.0.1:9001/path", "fanloop dial"},
		{"dial ws://user:secret@a#b", "[a URL with an @, not shown]: a WebSocket URL has no fragment; write # as %23", "fanloop dial"},
		{"dial ws://127.0.0.1 --header Nothing", `--header "Nothing": want 'Name: value'`, "fanloop dial"},
		{"dial ws://127.0.0.1 --header Host:x", "--header Host: the handshake itself writes or forbids this header; remove it", "fanloop dial"},
		{"dial ws://127.0.0.1 --close-code 1006", `--close-code "1006": want 1000-1003, 1007-1014, 3000-4999 or 0 for none`, "fanloop dial"},
		{"dial ws://127.0.0.1 --close-code 0 --close-reason x", "--close-reason: without a code there is no reason; give --close-code too", "fanloop dial"},
		{"dial ws://127.0.0.1 --close-reason " + strings.Repeat("x", 124), "--close-reason: 124 bytes, but a close frame holds at most 123", "fanloop dial"},
		{"dial ws://127.0.0.1 --close-reason \xff", `--close-reason "\xff": it is not valid UTF-8, as a reason must be`, "fanloop dial"},
		{"dial wss://127.0.0.1 --insecure --tls-ca x", "--insecure trusts everybody and --tls-ca some only: give one of them", "fanloop dial"},
		{"dial wss://127.0.0.1 --tls-key x", "--tls-key without --tls-cert: give the file of its certificate too", "fanloop dial"},
		{"dial ws://127.0.0.1 --unix x --proxy none", "--unix and --proxy are two ways to the server: give one of them", "fanloop dial"},
		{"dial ws://127.0.0.1 --proxy ftp://user:secret@127.0.0.1", "--proxy: want a URL like http://user:password@127.0.0.1:3128 or socks5://127.0.0.1:1080, or none", "fanloop dial"},
		{"dial ws://127.0.0.1 --timeout 0", `--timeout "0": want a duration above 0, like 500ms or 10s`, "fanloop dial"},
	} {
		got := command(t, "", nil, strings.Fields(k.args)...)
		want := result{exitUsage, "", "fanloop: " + k.err + "\nRun '" + k.hint + " --help' for usage.\n"}
		if got != want {
			t.Errorf("%s:\n%+v, want\n%+v", k.args, got, want)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	alone := command(t, "", nil)
	if alone.code != exitOK || alone.err != "" || !strings.Contains(alone.out, "Examples:") {
		t.Errorf("fanloop alone: %+v", alone)
	}
	for _, args := range []string{"--help", "-h", "help"} {
		if got := command(t, "", nil, args); got.code != exitOK || !strings.Contains(got.out, "Commands:") {
			t.Errorf("fanloop %s: %+v", args, got)
		}
	}
	for _, cmd := range []string{"echo", "dial", "version"} {
		got := command(t, "", nil, cmd, "--help")
		if got.code != exitOK || got.err != "" || !strings.Contains(got.out, "fanloop "+cmd) {
			t.Errorf("fanloop %s --help: %+v", cmd, got)
		}
		if other := command(t, "", nil, "help", cmd); other != got {
			t.Errorf("fanloop help %s differs from --help: %+v", cmd, other)
		}
		if !strings.Contains(alone.out, "\n  "+cmd+" ") {
			t.Errorf("fanloop alone does not list %s", cmd)
		}
	}
}
