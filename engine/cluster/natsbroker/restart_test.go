package natsbroker_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// reader reads all of a topic that its subscription has.
type reader struct {
	t    *testing.T
	s    *cluster.Subscription
	got  []string
	lost int
}

func follow(t *testing.T, n *cluster.Node, from cluster.Position) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := n.Subscribe(ctx, topic, from, func() {})
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return &reader{t: t, s: s}
}

// has reads on and reports whether id has come.
func (r *reader) has(id string) func() bool {
	return func() bool {
		r.t.Helper()
		r.read()
		return slices.Contains(r.got, id)
	}
}

func (r *reader) read() {
	r.t.Helper()
	for {
		batch, err := r.s.Next(r.t.Context(), cluster.Budget{})
		if errors.Is(err, cluster.ErrUnavailable) {
			return
		}
		if err != nil {
			r.t.Fatalf("Next: %v", err)
		}
		if batch.Lost {
			r.lost++
		}
		for _, m := range batch.Messages {
			r.got = append(r.got, m.ID)
		}
		if !batch.More {
			return
		}
	}
}

func (r *reader) expect(lost int, ids ...string) {
	r.t.Helper()
	if r.lost != lost || !slices.Equal(r.got, ids) {
		r.t.Errorf("got %v, %d times lost; want %v, %d", r.got, r.lost, ids, lost)
	}
}

// After a restart of the server (C04, C12): with its store the epoch is the same
// and nobody loses anything; with a new store or an older one the position is
// lost, also when it is published past it. While it is down, publishes fail at
// once, and the subscription stays (C03).
func TestServerRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(t *testing.T, dir, old string)
		lost      int
		sameEpoch bool
	}{
		"with its store": {func(*testing.T, string, string) {}, 0, true},
		"wiped":          {func(t *testing.T, dir, _ string) { clearDir(t, dir) }, 1, false},
		"restored": {func(t *testing.T, dir, old string) {
			clearDir(t, dir)
			copyDir(t, dir, old)
		}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, old := t.TempDir(), t.TempDir()
			d, options := openDoor(t), natsserver.Options{Dir: dir, Name: "one"}
			config := natsbroker.Config{URL: d.url(), Shards: 1}
			start := func() *natsserver.Server { return d.start(t, options) }
			server := start()
			b := connect(t, server, config)
			n := cluster.NewNode(b, cluster.Config{})
			t.Cleanup(n.Close)
			r := follow(t, n, cluster.Position{})
			publish(t, b, "m1", "m2")
			server.Close()
			copyDir(t, old, dir)
			server = start()
			publishAgain(t, b, "m3")
			at := publish(t, b, "m4")
			until(t, "m4", r.has("m4"))
			r.expect(0, "m1", "m2", "m3", "m4")

			server.Close()
			until(t, "a publish fails", func() bool {
				_, err := b.Publish(t.Context(), topic, "", nil)
				return errors.Is(err, cluster.ErrUnavailable)
			})
			r.read()
			c.change(t, dir, old)
			server = start()
			t.Cleanup(func() { server.Close() })
			other := connect(t, server, config) // publishes before the node is back, perhaps
			publish(t, other, "a1", "a2", "a3", "a4", "a5")
			again := follow(t, n, at)
			until(t, "the position is judged", func() bool { again.read(); return again.lost+len(again.got) > 0 })
			until(t, "the end", func() bool {
				r.read()
				return again.lost > 0 && r.lost > 0 || slices.Contains(r.got, "a5")
			})
			if r.lost != c.lost || again.lost != c.lost {
				t.Errorf("lost %d and %d times, want %d", r.lost, again.lost, c.lost)
			}
			end := publish(t, other, "z")
			until(t, "z", r.has("z"))
			want := []string{"a1", "a2", "a3", "a4", "a5", "z"}
			if c.lost > 0 { // it goes on from the end that the node found
				want = want[max(0, 4+len(want)-len(r.got)):]
			}
			r.expect(c.lost, append([]string{"m1", "m2", "m3", "m4"}, want...)...)
			if (end.Epoch == at.Epoch) != c.sameEpoch {
				t.Errorf("epoch %s after %s", end.Epoch, at.Epoch)
			}
		})
	}
}

// publishAgain publishes with one id until it is acknowledged.
func publishAgain(t *testing.T, b cluster.Broker, id string) {
	t.Helper()
	until(t, "a publish succeeds", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := b.Publish(ctx, topic, id, nil)
		if err != nil && !errors.Is(err, cluster.ErrUnavailable) {
			t.Fatalf("Publish: %v", err)
		}
		return err == nil
	})
}

func clearDir(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A connection that is up and delivers nothing (C13) is found by the probe and
// made anew; what was published meanwhile arrives.
func TestSilentConnectionIsFound(t *testing.T) {
	server := startServer(t, natsserver.Options{Addr: "127.0.0.1:0"})
	p := startProxy(t, server.URL()[len("nats://"):])
	var silent atomic.Int32
	b := connect(t, server, natsbroker.Config{
		URL:        "nats://" + p.ln.Addr().String(),
		Shards:     1,
		ProbeEvery: 100 * time.Millisecond,
		OnGap: func(reason error) {
			if errors.Is(reason, natsbroker.ErrSilent) {
				silent.Add(1)
			}
		},
	})
	n := cluster.NewNode(b, cluster.Config{Timeout: time.Second})
	defer n.Close()
	r := follow(t, n, cluster.Position{})
	direct := connect(t, server, natsbroker.Config{Shards: 1})
	publish(t, direct, "m1")
	until(t, "m1", r.has("m1"))
	p.stall()
	publish(t, direct, "m2", "m3")
	until(t, "the silence is found", func() bool { return silent.Load() > 0 })
	until(t, "m3", r.has("m3"))
	r.expect(0, "m1", "m2", "m3")
}

// Connected is false while the server is away.
func TestConnectedFollowsTheServer(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, natsserver.Options{Dir: dir, Addr: "127.0.0.1:0"})
	addr := server.URL()[len("nats://"):]
	b := connect(t, server, natsbroker.Config{URL: server.URL(), Shards: 1, ProbeEvery: time.Second})
	until(t, "it is connected", b.Connected)
	server.Close()
	until(t, "it is not", func() bool { return !b.Connected() })
	startServer(t, natsserver.Options{Dir: dir, Addr: addr})
	until(t, "it is connected again", b.Connected)
	b.Close()
	if b.Connected() {
		t.Error("it is connected after Close")
	}
}

// proxy passes TCP connections on, until those that it has stall.
type proxy struct {
	ln    net.Listener
	stall func()
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var stalled atomic.Int32 // connections up to this number pass nothing on
	var number atomic.Int32
	pass := func(n int32, to, from net.Conn) {
		defer to.Close()
		buffer := make([]byte, 1<<16)
		for {
			k, err := from.Read(buffer)
			if err != nil {
				return
			}
			if stalled.Load() >= n {
				continue
			}
			if _, err := to.Write(buffer[:k]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			n := number.Add(1)
			go pass(n, server, client)
			go pass(n, client, server)
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return &proxy{ln: ln, stall: func() { stalled.Store(number.Load()) }}
}
