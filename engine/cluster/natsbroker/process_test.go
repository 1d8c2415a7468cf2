package natsbroker_test

import (
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

// childVariable makes this binary a server: "ADDR DIR".
const childVariable = "FANLOOP_TEST_NATS"

// childMain serves until standard input ends, with its parent at the latest.
func childMain(where string) {
	addr, dir, _ := strings.Cut(where, " ")
	s, err := natsserver.Start(natsserver.Options{Name: "child", Dir: dir, Addr: addr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Close()
	os.Exit(0)
}

// child is a server in a process of its own.
type child struct {
	t     *testing.T
	where string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startChild(t *testing.T, addr, dir string) *child {
	t.Helper()
	c := &child{t: t, where: addr + " " + dir}
	c.start()
	t.Cleanup(func() { c.signal(syscall.SIGKILL); c.wait() })
	return c
}

func (c *child) start() {
	c.t.Helper()
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), childVariable+"="+c.where)
	c.cmd.Stderr = os.Stderr
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
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
	addr := freeAddr(t)
	server := startChild(t, addr, t.TempDir())
	config := natsbroker.Config{URL: "nats://" + addr, Shards: 2, PerTopic: 1_000_000}
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
	addr := freeAddr(t)
	server := startChild(t, addr, t.TempDir())
	var silent atomic.Int32
	b := connectTo(t, natsbroker.Config{
		URL:        "nats://" + addr,
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
	addr := freeAddr(t)
	server := startChild(t, addr, t.TempDir())
	config := natsbroker.Config{URL: "nats://" + addr, Shards: 1, ProbeEvery: 300 * time.Millisecond}
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
