package natsbroker_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// A node is cut off from NATS by its network (C05): nothing says so, neither side sees an
// end. The node finds it out, its publishes fail, and its subscribers stay. When the
// network is back they have what was published meanwhile, once and in order, with nothing
// published after it, and the bus is heard again.
func TestNodeIsCutOffByTheNetwork(t *testing.T) {
	host := newHost(t)
	server := startServer(t, natsserver.Options{Addr: host.gateway + ":0"})
	var silent atomic.Int32
	away := connectWhenFormed(t, natsbroker.Config{ // the link takes its time
		URL:        server.URL(),
		Options:    []nats.Option{nats.SetCustomDialer(host), nats.Timeout(time.Second)},
		Shards:     1,
		ProbeEvery: 200 * time.Millisecond,
		OnGap: func(reason error) {
			if errors.Is(reason, natsbroker.ErrSilent) {
				silent.Add(1)
			}
		},
	})
	n := cluster.NewNode(away, cluster.Config{CheckEvery: time.Hour, Timeout: time.Second})
	t.Cleanup(n.Close)
	here := connect(t, server, natsbroker.Config{})
	r, h := follow(t, n, cluster.Position{}), listen(t, away)
	publish(t, here, "m1")
	until(t, "m1", r.has("m1"))
	heard(t, here, h, "before")

	found := silent.Load()
	host.cut()
	publish(t, here, "m2", "m3")
	until(t, "the silence is found", func() bool { return silent.Load() > found })
	until(t, "the silence is a gap on the bus", h.missed(natsbroker.ErrSilent))
	if _, err := away.Publish(t.Context(), topic, "m4", nil); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a publish of a node that is cut off: %v", err)
	}
	r.read()
	r.expect(0, "m1")

	host.heal()
	until(t, "m3", r.has("m3"))
	heard(t, here, h, "after")
	publishAgain(t, away, "m4")
	until(t, "m4", r.has("m4"))
	r.expect(0, "m1", "m2", "m3", "m4")
}

// host is a network of its own with one way out.
type host struct {
	t       *testing.T
	name    string // of the network, and of the link to it
	gateway string // this side's address
}

var hosts atomic.Int32 // made so far

// newHost makes one, which goes with the test. It needs root and the program ip.
func newHost(t *testing.T) *host {
	t.Helper()
	made := hosts.Add(1)
	number := (os.Getpid() + int(made)*4099) % (1 << 14)
	h := &host{t: t, name: fmt.Sprintf("fl%d-%d", os.Getpid(), made), gateway: fmt.Sprintf("198.18.%d.%d", number>>6, number&63<<2|1)}
	if out, err := exec.Command("ip", "netns", "add", h.name).CombinedOutput(); err != nil {
		t.Skipf("a network cannot be made here: %v: %s", err, out)
	}
	t.Cleanup(func() { h.ip("netns", "delete", h.name) })
	if out, err := exec.Command("ip", "link", "add", h.name, "type", "veth", "peer", "name", "out", "netns", h.name).CombinedOutput(); err != nil {
		t.Skipf("a link to a network cannot be made here: %v: %s", err, out)
	}
	t.Cleanup(func() { h.ip("link", "delete", h.name) })
	h.ip("address", "add", h.gateway+"/30", "dev", h.name)
	h.ip("link", "set", h.name, "up")
	h.ip("-n", h.name, "address", "add", fmt.Sprintf("198.18.%d.%d/30", number>>6, number&63<<2|2), "dev", "out")
	h.ip("-n", h.name, "link", "set", "out", "up")
	return h
}

func (h *host) cut()  { h.ip("link", "set", h.name, "down") }
func (h *host) heal() { h.ip("link", "set", h.name, "up") }

func (h *host) ip(args ...string) {
	h.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		h.t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// Dial connects from inside. It implements nats.CustomDialer.
func (h *host) Dial(network, address string) (net.Conn, error) {
	type result struct {
		nc  net.Conn
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		inside, err := os.Open("/run/netns/" + h.name)
		if err == nil {
			defer inside.Close()
			err = unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET)
		}
		var nc net.Conn
		if err == nil {
			nc, err = (&net.Dialer{Timeout: time.Second}).Dial(network, address)
		}
		done <- result{nc, err}
	}()
	r := <-done
	return r.nc, r.err
}
