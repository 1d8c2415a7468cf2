package bench

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// standIn is an echo server in this process. answer writes what goes back for message n
// of a connection; an error from it closes the connection.
type standIn struct {
	greet  func(c net.Conn) error // the opening handshake
	answer func(c net.Conn, n int, f ws.Frame) error
	held   chan net.Conn // if not nil, gets every upgraded connection
}

func upgrade(c net.Conn) error {
	_, err := ws.Upgrade(c)
	return err
}

func greetWith(response string) func(net.Conn) error {
	return func(c net.Conn) error {
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			return err
		}
		_, err := io.WriteString(c, response)
		return err
	}
}

func echoFrame(c net.Conn, f ws.Frame) error { return ws.WriteFrame(c, f) }

func (s standIn) serve(t *testing.T) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { defer c.Close(); s.converse(c) })
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return &process{pid: os.Getpid(), port: l.Addr().(*net.TCPAddr).Port, exited: make(chan struct{})}
}

func (s standIn) converse(c net.Conn) {
	if s.greet(c) != nil {
		return
	}
	if s.held != nil {
		s.held <- c
	}
	for n := 0; ; n++ {
		f, err := readFrame(c)
		if err != nil {
			return
		}
		if s.answer(c, n, ws.UnmaskFrameInPlace(f)) != nil {
			return
		}
	}
}

func testClient(t *testing.T) client {
	return client{path: programs(t).Load, cpu: "0", grace: 300 * time.Millisecond}
}

func scenario(t *testing.T, name string) Scenario {
	t.Helper()
	s, err := ParseScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestClientTellsWhatIsWrongWithTheEcho(t *testing.T) {
	only := func(at int, wrong func(c net.Conn, f ws.Frame) error) func(net.Conn, int, ws.Frame) error {
		return func(c net.Conn, n int, f ws.Frame) error {
			if n != at {
				return echoFrame(c, f)
			}
			return wrong(c, f)
		}
	}
	flipLast := func(c net.Conn, f ws.Frame) error {
		f.Payload[len(f.Payload)-1] ^= 1
		return echoFrame(c, f)
	}
	flipFirst := func(c net.Conn, f ws.Frame) error {
		f.Payload[0] ^= 1
		return echoFrame(c, f)
	}
	for _, tt := range []struct {
		name, scenario string
		answer         func(c net.Conn, n int, f ws.Frame) error
		want           string
	}{
		{"the first is corrupt", "echo1x64", only(0, flipLast), "echo 0 differs at byte 65"},
		{"a later small one is corrupt", "echo1x64", only(5, flipLast), "echo 5 differs at byte 65"},
		{"a sampled large one is corrupt", "echo1x16k", only(16, flipLast), "echo 16 differs at byte 16387"},
		{"the stamp of any large one is corrupt", "echo1x16k", only(3, flipFirst), "echo 3 differs at byte 4"},
		{"a long length is corrupt", "echo1x70000", only(0, flipLast), "echo 0 differs at byte 70009"},
		{"a shorter frame", "echo1x64", only(2, func(c net.Conn, f ws.Frame) error {
			return echoFrame(c, ws.NewBinaryFrame(f.Payload[:60]))
		}), "echo 2 differs at byte 1"},
		{"a frame cut off", "echo1x64", only(3, func(c net.Conn, f ws.Frame) error {
			_, err := c.Write(ws.MustCompileFrame(f)[:62])
			return err
		}), "62 of 66 bytes of echo 3 came back in 300 ms"},
		{"one is swallowed", "echo4x64", only(3, func(net.Conn, ws.Frame) error { return nil }), "0 of 66 bytes of echo 3 came back"},
		{"all are swallowed", "echo4x64", func(net.Conn, int, ws.Frame) error { return nil }, "nothing came back within the window"},
		{"another opcode", "echo1x64", only(1, func(c net.Conn, f ws.Frame) error {
			return echoFrame(c, ws.NewTextFrame(f.Payload))
		}), "echo 1 differs at byte 0 of its frame: 0x81, not 0x82"},
		{"one comes twice", "echo1x64", only(1, func(c net.Conn, f ws.Frame) error {
			b := ws.MustCompileFrame(f)
			_, err := c.Write(append(b, b...))
			return err
		}), "more came back than was sent after 2 echoes"},
		{"the server closes", "echo1x64", only(1, func(net.Conn, ws.Frame) error { return io.EOF }), "the server hung up on connection 0 after 1 echoes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := standIn{greet: upgrade, answer: tt.answer}.serve(t)
			_, err := testClient(t).measure(t.Context(), scenario(t, tt.scenario), p, 0, 300*time.Millisecond)
			wantLine(t, err, tt.want)
		})
	}
}

func TestClientTellsWhatIsWrongWithTheUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name  string
		greet func(net.Conn) error
		want  string
	}{
		{"refused", greetWith("HTTP/1.1 403 Forbidden\r\n\r\n"), "the upgrade was refused: HTTP/1.1 403 Forbidden"},
		{"no accept key", greetWith("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "Sec-WebSocket-Accept is missing or wrong"},
		{"wrong accept key", greetWith("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"), "Sec-WebSocket-Accept is missing or wrong"},
		{"bytes after the head", greetWith("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n\r\n\x89\x00"), "follow the upgrade"},
		{"closed", func(net.Conn) error { return io.EOF }, "connection 0 after 0 echoes"},
		{"silent", func(c net.Conn) error { _, err := io.Copy(io.Discard, c); return err }, "0 of 1 connections open after 300 ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := standIn{greet: tt.greet}.serve(t)
			_, err := testClient(t).measure(t.Context(), scenario(t, "echo1x64"), p, 0, 10*time.Millisecond)
			wantLine(t, err, tt.want)
		})
	}
}

func TestClientTellsThatNobodyListens(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"echo2x64", "handshake2"} {
		_, err = testClient(t).measure(t.Context(), scenario(t, name), &process{pid: os.Getpid(), port: port}, 0, 10*time.Millisecond)
		wantLine(t, err, fmt.Sprintf("load: connect to 127.0.0.1:%d: Connection refused", port))
	}
}

func TestIdleConnectionThatIsClosedFailsTheRound(t *testing.T) {
	s := standIn{greet: upgrade, answer: func(c net.Conn, _ int, f ws.Frame) error { return echoFrame(c, f) }, held: make(chan net.Conn, 3)}
	p := s.serve(t)
	client := testClient(t)
	client.grace = 10 * time.Second
	err := client.hold(t.Context(), scenario(t, "idle3"), p, func() error { return (<-s.held).Close() })
	wantLine(t, err, "after 1 echoes")
}

func TestCPUTimeIsThatOfTheNamedProcess(t *testing.T) {
	s := standIn{greet: upgrade, answer: func(c net.Conn, _ int, f ws.Frame) error { return echoFrame(c, f) }}
	p := s.serve(t)
	client := testClient(t)
	client.grace = 10 * time.Second
	busy, err := client.measure(t.Context(), scenario(t, "echo2x64"), p, 0, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if busy.ServerMicros <= 0 || busy.ClientMicros <= 0 || busy.Messages == 0 || busy.Seconds < 0.1 {
		t.Errorf("a working server: %+v", busy)
	}
	asleep := exec.CommandContext(t.Context(), "sleep", "60")
	if err := asleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = asleep.Process.Kill(); _ = asleep.Wait() }()
	for !isAsleep(t, asleep.Process.Pid) {
	}
	p.pid = asleep.Process.Pid
	idle, err := client.measure(t.Context(), scenario(t, "echo2x64"), p, 0, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if idle.ServerMicros != 0 {
		t.Errorf("a sleeping process: %v µs, want 0", idle.ServerMicros)
	}
}

// isAsleep says that the program was loaded and waits in nanosleep.
func isAsleep(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), "(sleep) S ")
}

func wantLine(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %q, want one line with %q", fmt.Sprint(err), want)
	}
}
