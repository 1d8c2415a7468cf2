package chattest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// Node is a node of the chat behind a proxy.
type Node struct {
	t     testing.TB
	addr  string // without the proxy
	Proxy *Proxy
	// Service is the node itself; nil where it is another process.
	Service *service.Service
}

// Settings are those of a node for tests: without limits by rate, and open to whoever
// comes.
func Settings(dir string) config.Config {
	c := config.Default()
	c.Listen, c.Admin, c.DataDir = "127.0.0.1:0", "", dir
	c.Limits.User, c.Limits.Address = config.Per{}, config.Per{}
	space := c.Namespaces["default"]
	for _, right := range []rules.Right{rules.Publish, rules.History, rules.React, rules.Edit, rules.Delete} {
		space.Who[right] = rules.Users // users may publish without joining
	}
	c.Namespaces["default"] = space
	return c
}

// StartNode runs a node with its own store.
func StartNode(t testing.TB, change func(*config.Config)) *Node {
	t.Helper()
	c := Settings(t.TempDir())
	if change != nil {
		change(&c)
	}
	s := run(t, c)
	return &Node{t, s.Addr(), StartProxy(t, s.Addr()), s}
}

func run(t testing.TB, c config.Config) *service.Service {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := service.Start(ctx, c, logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

// Addr is where the node listens, without the proxy.
func (n *Node) Addr() string { return n.addr }

// Page is the address of a room in the page, through the proxy.
func (n *Node) Page(room string) string {
	return "http://" + n.Proxy.Addr() + "/#" + room
}

// asNode has the URL of the NATS servers where this program is a node, and no test;
// address has where clients reach it.
const (
	asNode  = "FANLOOP_CHATTEST_NODE"
	address = "FANLOOP_CHATTEST_ADDRESS"
)

// Main is TestMain of packages that use Process.
func Main(m *testing.M) {
	url := os.Getenv(asNode)
	if url == "" {
		os.Exit(m.Run())
	}
	c := Settings("")
	c.NATS, c.Address = url, os.Getenv(address)
	s, err := service.Start(context.Background(), c, logger())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends, however it does
}

// Process is a node in a process of its own, which can be killed.
type Process struct {
	Addr string
	cmd  *exec.Cmd
}

// StartProcess starts this program as a node with the NATS servers at a URL. It
// tells clients of other nodes that they may come to at, unless that is empty.
func StartProcess(t testing.TB, nats, at string) *Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asNode+"="+nats, address+"="+at)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd}
	t.Cleanup(func() {
		_ = stdin.Close()
		p.Kill()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.Addr = strings.TrimSpace(line)
	return p
}

// Kill ends it at once. Whoever was connected is not told.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Serve is for a node that listens at an address only now.
func (n *Node) Serve(addr string) {
	n.addr = addr
	n.Proxy.Move(addr)
}

// Behind is the node at addr behind a proxy to front, which is the node itself or a
// server in front of it.
func Behind(t testing.TB, addr, front string) *Node {
	t.Helper()
	return &Node{t: t, addr: addr, Proxy: StartProxy(t, front)}
}
