package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/cmd/fanloop/dial"
)

func TestDialPrintsTheEchoOfItsLines(t *testing.T) {
	s := startEcho(t)
	told := "connected to " + s.url("/x") + "\nclosed: 1000 normal closure\n"
	for _, k := range []struct{ flags, in, out string }{
		{"--count 2", "one\ntwo\n", "one\ntwo\n"},
		{"--count 2", "one\r\nno line end", "one\nno line end\n"},
		{"--count 2", "\nä€😀\n", "\nä€😀\n"},
		{"--count 1 --binary", "hi\xff\n", "6869ff\n"},
		{"--count 1 --hex", "68 69FF\n", "6869ff\n"},
		{"--count 2 --hex --raw", "00\nff0a\n", "\x00\xff\n"},
		{"--count 2 --raw", "a\nb\n", "ab"},
	} {
		got := command(t, k.in, nil, append([]string{"dial", s.url("/x")}, strings.Fields(k.flags)...)...)
		if want := (result{exitOK, k.out, told}); got != want {
			t.Errorf("%s: %+v, want %+v", k.flags, got, want)
		}
	}
	got := command(t, "hello\n", nil, "dial", s.url("/x"), "--count", "1", "--quiet")
	if want := (result{exitOK, "hello\n", ""}); got != want {
		t.Errorf("--quiet: %+v, want %+v", got, want)
	}
}

func TestDialTakesAddressesAsTheyAreTyped(t *testing.T) {
	s := startEcho(t)
	_, port, _ := strings.Cut(s.addr, ":")
	for _, k := range []struct{ typed, shown string }{
		{s.addr, "ws://" + s.addr},
		{s.addr + "/x?y=1", "ws://" + s.addr + "/x?y=1"},
		{":" + port + "/x", "ws://localhost:" + port + "/x"},
		{"http://" + s.addr + "/", "ws://" + s.addr + "/"},
		{"WS://" + s.addr, "ws://" + s.addr},
		{"user:pass@" + s.addr, "ws://" + s.addr},
	} {
		got := command(t, "hello\n", nil, "dial", k.typed, "-n", "1")
		if want := (result{exitOK, "hello\n", "connected to " + k.shown + "\nclosed: 1000 normal closure\n"}); got != want {
			t.Errorf("%s: %+v, want %+v", k.typed, got, want)
		}
	}
	secure := startEcho(t, "--self-signed")
	got := command(t, "hello\n", nil, "dial", "https://"+secure.addr, "-n", "1", "-k", "-q")
	if want := (result{exitOK, "hello\n", ""}); got != want {
		t.Errorf("https: %+v, want %+v", got, want)
	}
}

func TestDialSendsWhatItsFlagsSay(t *testing.T) {
	type seen struct {
		header   http.Header
		closeErr error
	}
	saw := make(chan seen, 1)
	url := peer(t, func(ws *websocket.Conn, r *http.Request) {
		_, _, err := ws.ReadMessage()
		saw <- seen{r.Header, err}
	})
	got := command(t, "", nil, "dial", strings.Replace(url, "ws://", "ws://user:pass@", 1), "--wait", "0",
		"--subprotocol", "v0,chat", "--header", "X-One: 1, 2", "--header", "x-two:2", "--origin", "http://o.example",
		"--close-code", "3005", "--close-reason", "that was it")
	if got.code != exitOK || !strings.Contains(got.err, ", subprotocol chat\n") || strings.Contains(got.err, "pass") {
		t.Errorf("%+v", got)
	}
	s := <-saw
	for name, want := range map[string]string{
		"X-One": "1, 2", "X-Two": "2", "Origin": "http://o.example",
		"Sec-WebSocket-Protocol": "v0, chat", "Authorization": "Basic dXNlcjpwYXNz",
	} {
		if got := s.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if e, ok := s.closeErr.(*websocket.CloseError); !ok || e.Code != 3005 || e.Text != "that was it" {
		t.Errorf("the peer saw %v, want 3005 and the reason", s.closeErr)
	}
}

func TestDialExitCodeComesFromTheCloseCode(t *testing.T) {
	url := peer(t, func(ws *websocket.Conn, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		if code == websocket.CloseAbnormalClosure {
			return
		}
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(patience))
		_, _, _ = ws.ReadMessage() // the answer
	})
	for code, want := range map[int]int{1000: 0, 1001: 0, 1005: 0, 1006: 3, 1008: 3, 1011: 3, 1013: 3, 4000: 3} {
		p := start(t, silence(t), nil, "dial", fmt.Sprintf("%s?code=%d", url, code))
		if status := p.wait(t); status.ExitStatus() != want || !strings.Contains(p.err.String(), "\nclosed: "+strconv.Itoa(code)) {
			t.Errorf("close code %d: exit code %d, want %d; stderr %s", code, status.ExitStatus(), want, &p.err)
		}
	}
}

func TestDialTellsTheReasonWithoutControlCharacters(t *testing.T) {
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1008, "no\x1b[31m"), time.Now().Add(patience))
		_, _, _ = ws.ReadMessage()
	})
	got := command(t, "", nil, "dial", url)
	if want := "closed: 1008 policy violation, \"no\\x1b[31m\"\n"; got.code != exitClosed || !strings.HasSuffix(got.err, want) {
		t.Errorf("%+v, want %q at the end", got, want)
	}
}

func TestDialWithoutAConnectionIsOneLineAndExitCodeOne(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	moved := httptest.NewServer(http.RedirectHandler("/new", http.StatusMovedPermanently))
	t.Cleanup(moved.Close)
	secret := httptest.NewServer(http.RedirectHandler("ws://user:secret@localhost/", http.StatusMovedPermanently))
	t.Cleanup(secret.Close)
	ws := func(srv *httptest.Server) string { return strings.Replace(srv.URL, "http", "ws", 1) }
	closed := closedPort(t)
	for _, k := range []struct{ url, want string }{
		{closed, "nothing listens on port " + closed[strings.LastIndex(closed, ":")+1:] + "; is the server up?"},
		{ws(plain), `the server answered 404 Not Found instead of opening a WebSocket: "404 page not found"`},
		{ws(moved), `the server answered 301 and points to "/new": dial that`},
		{ws(secret), "the server answered 301 and points to [a URL with an @, not shown]: dial that"},
		{rawServer(t, "SSH-2.0-x\r\n\r\n"), "what answers there is not a WebSocket server: the answer is not HTTP/1.1"},
		{rawServer(t, ""), "the server hung up without an answer; is it a wss:// server, or one that expects a PROXY header?"},
	} {
		got := command(t, "", nil, "dial", k.url)
		if want := (result{exitFailed, "", "fanloop: " + k.url + ": " + k.want + "\n"}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	got := command(t, "", nil, "dial", "ws://user:12/secret@localhost/", "--unix", none)
	if want := (result{exitFailed, "", "fanloop: ws://...: there is no " + none + "; is the server up?\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // its backlog accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	url := "ws://" + mute.Addr().String()
	got = command(t, "", nil, "dial", url, "--timeout", "50ms")
	if want := (result{exitFailed, "", "fanloop: " + url + ": no connection within 50ms; give it longer with --timeout\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// closedPort is the URL of a port that nobody listens on, nor can until the end of
// the test: a connection has it.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return "ws://" + c.LocalAddr().String()
}

// rawServer is the URL of a server that reads a request, says answer and hangs
// up.
func rawServer(t *testing.T, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return // the end of the test
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, answer)
	}()
	return "ws://" + ln.Addr().String()
}

func TestDialRefusesLinesItCannotSend(t *testing.T) {
	s := startEcho(t)
	for _, k := range []struct{ flags, in, want string }{
		{"", "fine\n\xff\n", "line 2 of stdin: it is not valid UTF-8, as text must be; use --binary"},
		{"--hex", "abc\n", "line 1 of stdin: want an even number of hex digits"},
		{"--hex", "zz\n", "line 1 of stdin: want an even number of hex digits"},
		{"--max-message 8", "12345678\n123456789\n", "line 2 of stdin is longer than --max-message (8)"},
	} {
		got := command(t, k.in, nil, append([]string{"dial", s.url("/"), "--count", "9", "--quiet"}, strings.Fields(k.flags)...)...)
		if want := "fanloop: " + k.want + "\nRun 'fanloop dial --help' for usage.\n"; got.code != exitUsage || got.err != want {
			t.Errorf("%s: %+v, want %q", k.flags, got, want)
		}
	}
}

func TestDialStaysAfterTheEndOfStdin(t *testing.T) {
	s := startEcho(t)
	p := start(t, strings.NewReader("comes after it\n"), nil, "dial", s.url("/"), "--wait", "1h")
	p.out.await(t, "comes after it\n")
	p.signal(t, os.Interrupt)
	if status := p.wait(t); status.ExitStatus() != exitOK {
		t.Errorf("exit code %d, stderr %s", status.ExitStatus(), &p.err)
	}
	if got := dial.New(cli.Stdio{}).Flags().Lookup("wait").DefValue; got != "1s" {
		t.Errorf("without --wait it stays for %s, want 1s", got)
	}
}

func TestFewerMessagesThanCountIsExitCodeThree(t *testing.T) {
	s := startEcho(t)
	in, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typing.Close()
	p := start(t, in, nil, "dial", s.url("/"), "--count", "2", "--wait", "200ms")
	_ = in.Close() // the program has it
	if _, err := io.WriteString(typing, "one\n"); err != nil {
		t.Fatal(err)
	}
	p.out.await(t, "one\n")
	_ = typing.Close()
	status := p.wait(t)
	if status.ExitStatus() != exitClosed || p.out.String() != "one\n" || !strings.HasSuffix(p.err.String(), "\n1 of 2 messages came\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q", status.ExitStatus(), &p.out, &p.err)
	}
}

func TestInterruptClosesDialWith1001(t *testing.T) {
	saw := make(chan error, 1)
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_, _, err := ws.ReadMessage()
		saw <- err
	})
	p := start(t, silence(t), nil, "dial", url)
	p.err.await(t, "connected")
	p.signal(t, os.Interrupt)
	if err := <-saw; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the peer saw %v, want 1001", err)
	}
	if status := p.wait(t); status.ExitStatus() != exitOK {
		t.Errorf("exit code %d, want 0; stderr %s", status.ExitStatus(), &p.err)
	}
}

func TestSecondInterruptEndsDialAtOnce(t *testing.T) { // L02
	held := make(chan struct{})
	url := peer(t, func(*websocket.Conn, *http.Request) { <-held }) // never answers the close
	t.Cleanup(func() { close(held) })
	p := start(t, silence(t), nil, "dial", url)
	p.err.await(t, "connected")
	p.signal(t, os.Interrupt)
	p.signalUntilExit(t, os.Interrupt)
	if status := p.wait(t); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %#x, want by the signal; stderr %s", status, &p.err)
	}
}

func TestStdoutThatFailsEndsDial(t *testing.T) {
	s := startEcho(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	defer full.Close()
	var stderr transcript
	silent, typing := io.Pipe()
	defer typing.Close()
	go func() { _, _ = io.WriteString(typing, "hello\n") }()
	code := run(t.Context(), []string{"dial", s.url("/")}, cli.Stdio{In: silent, Out: full, Err: &stderr})
	if code != exitFailed || !strings.Contains(stderr.String(), "fanloop: cannot write to stdout: ") {
		t.Errorf("exit code %d, stderr %s", code, &stderr)
	}
}
