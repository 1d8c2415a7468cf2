package natsbroker_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// childVariable makes this binary a server with its store in that directory.
const childVariable = "FANLOOP_TEST_NATS"

// childMain says where it serves, until standard input ends, with its parent at the
// latest.
func childMain(dir string) {
	s, err := natsserver.Start(natsserver.Options{Name: "child", Dir: dir, Addr: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Close()
	os.Exit(0)
}

// child is a server in a process of its own.
type child struct {
	*door
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startChild(t *testing.T) *child {
	t.Helper()
	c := &child{door: openDoor(t), t: t, dir: t.TempDir()}
	c.start()
	t.Cleanup(func() { c.signal(syscall.SIGKILL); c.wait() })
	return c
}

func (c *child) start() {
	c.t.Helper()
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), childVariable+"="+c.dir)
	c.cmd.Stderr = os.Stderr
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("the server did not start: %v", err)
	}
	c.lead(strings.TrimSpace(url))
}

func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

func (c *child) wait() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait()
}

// connectTo connects as soon as the server is there.
func connectTo(t *testing.T, c natsbroker.Config) *natsbroker.Broker {
	t.Helper()
	return connectWhenFormed(t, c)
}

// The server is killed again and again under publishes from two nodes: everything
// that was acknowledged is stored once and reaches clients of both nodes once and
// in order, also those that resume.
func TestServerIsKilled(t *testing.T) {
	server := startChild(t)
	config := natsbroker.Config{URL: server.url(), Shards: 2, PerTopic: 1_000_000}
	var brokers []*natsbroker.Broker
	var nodes []*cluster.Node
	for range 2 {
		b := connectTo(t, config)
		n := cluster.NewNode(b, cluster.Config{})
		t.Cleanup(n.Close)
		brokers, nodes = append(brokers, b), append(nodes, n)
	}
	start := publish(t, brokers[0], "start")
	readers := []*reader{follow(t, nodes[0], start), follow(t, nodes[1], start)}
	var over atomic.Bool
	var stored atomic.Int32
	var publishers sync.WaitGroup
	for i, b := range brokers {
		publishers.Go(func() {
			for k := 0; !over.Load(); k++ {
				publishAgain(t, b, fmt.Sprint(i, "-", k))
				stored.Add(1)
			}
		})
	}
	for range 4 {
		before := stored.Load()
		until(t, "publishes go on", func() bool { return stored.Load() > before+30 })
		server.signal(syscall.SIGKILL)
		server.wait()
		server.start()
	}
	before := stored.Load()
	until(t, "publishes go on", func() bool { return stored.Load() > before+10 })
	over.Store(true)
	publishers.Wait()
	publishAgain(t, brokers[0], "last")
	resumed := follow(t, nodes[1], start)
	all := readAll(t, brokers[0])[1:]
	for i, r := range append(readers, resumed) {
		until(t, "the last", r.has("last"))
		if r.lost > 0 || !slices.Equal(r.got, all) {
			t.Errorf("client %d: %d times lost, %d messages of %d stored", i, r.lost, len(r.got), len(all))
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != int(stored.Load())+1 {
		t.Errorf("%d different messages stored, %d acknowledged", n, stored.Load()+1)
	}
}

// The server stops with its connections up (C13). That is found by the probe, and
// when it goes on everything arrives.
func TestServerStops(t *testing.T) {
	server := startChild(t)
	var silent atomic.Int32
	b := connectTo(t, natsbroker.Config{
		URL:        server.url(),
		Shards:     1,
		ProbeEvery: 100 * time.Millisecond,
		OnGap: func(reason error) {
			if errors.Is(reason, natsbroker.ErrSilent) {
				silent.Add(1)
			}
		},
	})
	n := cluster.NewNode(b, cluster.Config{Timeout: 2 * time.Second})
	t.Cleanup(n.Close)
	r := follow(t, n, cluster.Position{})
	publishAgain(t, b, "m1") // a slow machine is silent, too
	until(t, "m1", r.has("m1"))
	server.signal(syscall.SIGSTOP)
	until(t, "the silence is found", func() bool { return silent.Load() > 0 })
	server.signal(syscall.SIGCONT)
	publishAgain(t, b, "m2")
	publishAgain(t, b, "m3")
	until(t, "m3", r.has("m3"))
	r.expect(0, "m1", "m2", "m3")
}

// A server that stops with its connections up, while much is sent on the bus (C13): no
// Send waits, the silence is found and reported though the client's own writes wait, and
// the bus is heard again afterwards.
func TestServerStopsUnderLoadOfTheBus(t *testing.T) {
	server := startChild(t)
	config := natsbroker.Config{URL: server.url(), Shards: 1, ProbeEvery: 300 * time.Millisecond}
	a, b := connectTo(t, config), connectTo(t, config)
	h, own := listen(t, b), listen(t, a)
	heard(t, a, h, "one")
	server.signal(syscall.SIGSTOP)
	large := make([]byte, 100<<10)
	until(t, "the bus takes no more", func() bool {
		err := a.Send(talk, large)
		if err != nil && !errors.Is(err, cluster.ErrUnavailable) {
			t.Fatal(err)
		}
		return err != nil
	})
	until(t, "the silence is a gap", own.missed(natsbroker.ErrSilent))
	server.signal(syscall.SIGCONT)
	heard(t, a, h, "two")
	heard(t, b, own, "three")
}
