package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// limitsOf returns the flags of a command, and the limits that they set.
func limitsOf(t *testing.T, name string) (*cobra.Command, *engine.Limits) {
	t.Helper()
	var limits *engine.Limits
	cmd := subcommand(t, name)
	for _, f := range []string{"max-message", "max-headers"} {
		value, ok := cmd.Flags().Lookup(f).Value.(*cli.LimitValue)
		if !ok {
			t.Fatalf("--%s of %s is no limit", f, name)
		}
		limits = value.Limits
	}
	return cmd, limits
}

// S-a: every field of engine.Limits has a flag, which sets it and no other one.
func TestEveryLimitHasAFlag(t *testing.T) {
	for name, without := range map[string][]string{"echo": nil, "dial": {"MaxQueued", "MaxMemory", "MaxConnections"}} {
		for i, typ := 0, reflect.TypeFor[engine.Limits](); i < typ.NumField(); i++ {
			field, flag := typ.Field(i).Name, cli.FlagName(typ.Field(i).Name)
			if name == "dial" && field == "HandshakeTimeout" {
				flag = "timeout"
			}
			cmd, limits := limitsOf(t, name)
			if slices.Contains(without, field) {
				if cmd.Flags().Lookup(flag) != nil {
					t.Errorf("%s has --%s", name, flag)
				}
				continue
			}
			text, want := "77", int64(77)
			if typ.Field(i).Type.String() == "time.Duration" {
				text = "77ns"
			}
			set := *limits
			reflect.ValueOf(&set).Elem().Field(i).SetInt(want)
			if err := cmd.Flags().Set(flag, text); err != nil {
				t.Errorf("%s --%s %s: %v", name, flag, text, err)
			}
			if *limits != set {
				t.Errorf("%s --%s %s: %+v, want %+v", name, flag, text, *limits, set)
			}
		}
	}
}

// What help shows is what the engine goes by, and may be given.
func TestDefaultsOfLimitsAreTheEngines(t *testing.T) {
	for _, name := range []string{"echo", "dial"} {
		cmd, limits := limitsOf(t, name)
		before := limits.WithDefaults()
		for field := range reflect.TypeFor[engine.Limits]().Fields() {
			flag := cmd.Flags().Lookup(cli.FlagName(field.Name))
			if flag == nil {
				continue
			}
			if flag.DefValue == "" {
				t.Errorf("%s --%s shows no default", name, flag.Name)
			}
			if err := flag.Value.Set(flag.DefValue); err != nil || flag.Value.String() != flag.DefValue {
				t.Errorf("%s --%s %s: %v, reads as %s", name, flag.Name, flag.DefValue, err, flag.Value)
			}
		}
		if after := limits.WithDefaults(); after != before {
			t.Errorf("%s: %+v, was %+v", name, after, before)
		}
	}
}

// F-a: the refusal names the flags.
func TestLimitsThatContradictEachOtherAreAUsageError(t *testing.T) {
	for args, want := range map[string]string{
		"echo --max-queued 64KiB --low-water 256KiB":         "--low-water is 262144: a queue over --high-water (32768) cannot fall to it; lower it, or raise --high-water",
		"echo --ping-interval 0 --pong-timeout 5s":           "--pong-timeout is 5s: no ping is sent that it could count from; leave it 0, or set --ping-interval",
		"dial ws://127.0.0.1:1 --high-water 8 --low-water 9": "--low-water is 9: a queue over --high-water (8) cannot fall to it; lower it, or raise --high-water",
	} {
		got := command(t, "", nil, strings.Fields(args)...)
		if first, _, _ := strings.Cut(got.err, "\n"); got.code != exitUsage || first != "fanloop: "+want {
			t.Errorf("%s: %+v, want %s", args, got, want)
		}
	}
}

// S-a: the command alone takes what Autobahn's cases 9.3 and 9.4 send.
func TestMaxMessageAloneAllowsFramesOf64Bytes(t *testing.T) {
	const size = 4 << 20
	s := startEcho(t, "--max-message", "4MiB")
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	request := "GET / HTTP/1.1\r\nHost: " + s.addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	var frames bytes.Buffer
	frames.WriteString(request)
	for op, at := byte(2), 0; at < size; op, at = 0, at+64 {
		if at+64 == size {
			op |= 0x80
		}
		frames.Write(append([]byte{op, 0x80 | 64, 0, 0, 0, 0}, make([]byte, 64)...))
	}
	go func() { _, _ = nc.Write(frames.Bytes()) }() // the answer may come before the end
	in := bufio.NewReader(nc)
	if _, err := http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	var head [10]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || head[0] != 0x82 || binary.BigEndian.Uint64(head[2:]) != size {
		t.Fatalf("the answer begins with %x, %v; want a message of %d bytes", head, err, size)
	}
}

// S-b: a long head of an answer names the flag, and passes with it.
func TestDialTakesMoreHeadersIfTold(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := make(http.Header)
		for i := range 200 {
			header.Set("X-"+strconv.Itoa(i), "1")
		}
		ws, err := new(websocket.Upgrader).Upgrade(w, r, header)
		if err != nil {
			t.Error(err)
			return
		}
		_, _, _ = ws.ReadMessage() // the close
		_ = ws.Close()
	}))
	defer srv.Close()
	url := "ws" + strings.TrimPrefix(srv.URL, "http")
	got := command(t, "", nil, "dial", url, "--wait", "0")
	if want := "fanloop: " + url + ": the head of the answer is over --max-headers 100; give it more\n"; got.code != exitFailed || got.err != want {
		t.Errorf("%+v, want %q", got, want)
	}
	if got := command(t, "", nil, "dial", url, "--wait", "0", "--max-headers", "300"); got.code != exitOK {
		t.Errorf("with --max-headers 300: %+v", got)
	}
}

func TestDefaultsAreValuesTheFlagsTake(t *testing.T) {
	for _, cmd := range newRoot(cli.Stdio{}).Commands() {
		for _, f := range []string{"max-message", "ping-interval", "timeout", "close-code", "log-level", "loops"} {
			flag := cmd.Flags().Lookup(f)
			if flag == nil {
				continue
			}
			if err := flag.Value.Set(flag.DefValue); err != nil || flag.Value.String() != flag.DefValue {
				t.Errorf("%s --%s %s: %v, reads as %s", cmd.Name(), f, flag.DefValue, err, flag.Value)
			}
		}
	}
}
