package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// patience bounds every wait; it is only reached by a failure.
const patience = time.Minute

// programs is the folder of the programs under test.
var programs string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "peers-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "peers"), ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func program() string { return filepath.Join(programs, "peers") }

// commands are the servers of the protocol by name, each to listen on a free
// port: every peer, and the floor.
func commands() map[string]func(*testing.T) *exec.Cmd {
	all := map[string]func(*testing.T) *exec.Cmd{"floor": floorCommand}
	for name := range peers {
		all[name] = func(t *testing.T) *exec.Cmd { return peerCommand(t, name) }
	}
	return all
}

func peerCommand(t *testing.T, name string, loops ...string) *exec.Cmd {
	t.Helper()
	p := peers[name]
	err := p.missing()
	if err == nil && (name == "ws" || name == "bun") {
		err = install()
	}
	switch {
	case errors.Is(err, errNotAvailable):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return exec.Command(program(), append([]string{name, "127.0.0.1:0"}, loops...)...)
}

func floorCommand(t *testing.T) *exec.Cmd {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil || runtime.GOOS != "linux" {
		t.Skipf("%v: the floor needs Linux and a C compiler (install gcc or clang)", errNotAvailable)
	}
	floor := filepath.Join(programs, "floor")
	out, err := exec.Command(cc, "-O2", "-Wall", "-Wextra", "-Werror", "-o", floor, "../floor/floor.c").CombinedOutput()
	if err != nil {
		t.Fatalf("compile floor.c: %v\n%s", err, out)
	}
	return exec.Command(floor, "127.0.0.1:0")
}

// server is a program that listens.
type server struct {
	addr string
	cmd  *exec.Cmd
}

// start runs cmd until the test ends and returns when it is ready.
func start(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		late.Stop()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, found := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !found {
		t.Fatalf("the first line is %q (%v), want listening ADDR\n%s", line, err, &stderr)
	}
	late.Reset(4 * patience)
	return &server{addr, cmd}
}

func (s *server) dial(t *testing.T) *websocket.Conn { return s.dialPath(t, "/") }

func (s *server) dialPath(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	return s.dialWith(t, path, func(*net.TCPConn) error { return nil })
}

// dialWith connects with a socket that prepare has seen.
func (s *server) dialWith(t *testing.T, path string, prepare func(*net.TCPConn) error) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{
		WriteBufferSize: 2 << 20, // a message that fits is one frame
		NetDial: func(network, addr string) (net.Conn, error) {
			c, err := net.Dial(network, addr)
			if err != nil {
				return nil, err
			}
			return c, prepare(c.(*net.TCPConn))
		},
	}
	c, response, err := dialer.Dial("ws://"+s.addr+path, nil)
	if err != nil {
		t.Fatalf("%s: %v (%v)", path, err, response)
	}
	t.Cleanup(func() { c.Close() })
	deadline := time.Now().Add(patience)
	c.SetReadDeadline(deadline)
	c.SetWriteDeadline(deadline)
	return c
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, c *websocket.Conn, kind int, message []byte) {
	t.Helper()
	if err := c.WriteMessage(kind, message); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c *websocket.Conn, kind int, message []byte) {
	t.Helper()
	gotKind, got, err := c.ReadMessage()
	if err != nil {
		t.Fatalf("waiting for %s: %v", short(message), err)
	}
	if gotKind != kind || !bytes.Equal(got, message) {
		t.Fatalf("got kind %d, %s; want kind %d, %s", gotKind, short(got), kind, short(message))
	}
}

func short(message []byte) string {
	return fmt.Sprintf("%d bytes %.20q", len(message), message)
}

// letters is a message of n bytes that is valid text and begins with first.
func letters(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i*7+i>>8)%26
	}
	if n > 0 {
		b[0] = first
	}
	return b
}
