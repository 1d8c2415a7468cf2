package natsbroker_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

func TestNATSIsABus(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	var prefixes atomic.Int32
	clustertest.TestBus(t, func(t *testing.T) (a, b cluster.Bus) {
		config := natsbroker.Config{Prefix: fmt.Sprint("bus", prefixes.Add(1)), Shards: 1}
		return connect(t, server, config), connect(t, server, config)
	})
}

var talk = cluster.Channel{Kind: "talk", Topic: topic}

// hearer is a Receiver that collects, and blocks while it is held.
type hearer struct {
	hold sync.Mutex
	mu   sync.Mutex
	got  []string
	gaps []error
}

func (h *hearer) Receive(data []byte) {
	h.hold.Lock()
	defer h.hold.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, string(data))
}

func (h *hearer) Gap(reason error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gaps = append(h.gaps, reason)
}

func (h *hearer) has(data string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.got, data)
}

func (h *hearer) missed(reason error) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.ContainsFunc(h.gaps, func(err error) bool { return errors.Is(err, reason) })
	}
}

func listen(t *testing.T, b cluster.Bus) *hearer {
	t.Helper()
	h := &hearer{}
	if _, err := b.Listen(talk, h); err != nil {
		t.Fatal(err)
	}
	return h
}

// heard sends until something arrives.
func heard(t *testing.T, from cluster.Bus, h *hearer, data string) {
	t.Helper()
	until(t, data+" is heard", func() bool {
		if err := from.Send(talk, []byte(data)); err != nil && !errors.Is(err, cluster.ErrUnavailable) {
			t.Fatalf("Send: %v", err)
		}
		return h.has(data)
	})
}

// A restart of the server is a gap on the bus, and the channel is heard again
// afterwards. Meanwhile Send fails at once.
func TestReconnectIsAGapOnTheBus(t *testing.T) {
	d, options := openDoor(t), natsserver.Options{Dir: t.TempDir()}
	server := d.start(t, options)
	config := natsbroker.Config{URL: d.url(), Shards: 1}
	a, b := connect(t, server, config), connect(t, server, config)
	h := listen(t, b)
	heard(t, a, h, "one")
	server.Close()
	until(t, "Send fails", func() bool { return errors.Is(a.Send(talk, nil), cluster.ErrUnavailable) })
	server = d.start(t, options)
	t.Cleanup(server.Close)
	until(t, "the gap", h.missed(natsbroker.ErrReconnected))
	heard(t, a, h, "two")
	b.Close()
	if err := b.Send(talk, nil); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	if _, err := b.Listen(talk, h); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Listen after Close: %v", err)
	}
}

// A receiver that takes messages too slowly, and a connection that delivers
// nothing, are gaps on the bus (C06, C13).
func TestDropsAndSilenceAreGapsOnTheBus(t *testing.T) {
	server := startServer(t, natsserver.Options{Addr: "127.0.0.1:0"})
	p := startProxy(t, server.URL()[len("nats://"):])
	a := connect(t, server, natsbroker.Config{Shards: 1})
	b := connect(t, server, natsbroker.Config{
		URL: "nats://" + p.ln.Addr().String(), Shards: 1, ProbeEvery: 100 * time.Millisecond,
	})
	h := listen(t, b)
	heard(t, a, h, "one")
	h.hold.Lock()
	release := sync.OnceFunc(h.hold.Unlock)
	defer release()                             // or Close would wait for Receive
	until(t, "the drop is a gap", func() bool { // a reconnect loses some of what has to wait
		for range 500 {
			if err := a.Send(talk, nil); err != nil && !errors.Is(err, cluster.ErrUnavailable) { // a slow machine is silent, too
				t.Fatal(err)
			}
		}
		return h.missed(nats.ErrSlowConsumer)()
	})
	release()
	heard(t, a, h, "two")
	p.stall()
	until(t, "the silence is a gap", h.missed(natsbroker.ErrSilent))
	heard(t, a, h, "three")
}
