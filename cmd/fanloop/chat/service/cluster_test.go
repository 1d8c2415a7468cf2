package service_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/internal/testnet"
)

// enterAt connects to a node and subscribes, as often as it is told to come back: while the
// stores have no leader, say.
func enterAt(t *testing.T, ctx context.Context, addr, user string, in protocol.Subscribe) (*client, *protocol.Subscribed) {
	t.Helper()
	return enterAs(t, ctx, addr, &protocol.Connect{Ref: 1, Version: 1, User: user}, in)
}

// enterAs is enterAt with the first command.
func enterAs(t *testing.T, ctx context.Context, addr string, hello *protocol.Connect, in protocol.Subscribe) (*client, *protocol.Subscribed) {
	t.Helper()
	for ; ; time.Sleep(20 * time.Millisecond) {
		c := &client{t: t, ctx: ctx, encoding: protocol.JSON}
		c.dial(addr)
		in.Ref, in.Attempt = 2, 1
		c.send(hello, &in)
		for again := false; !again; {
			switch f := c.next().(type) {
			case *protocol.Subscribed:
				return c, f
			case *protocol.Error:
				if f.Retry != protocol.Later {
					t.Fatalf("%+v", f)
				}
				again = true
			}
		}
		c.ws.CloseNow()
	}
}

// say publishes until it is stored.
func (c *client) say(id string) {
	c.t.Helper()
	c.sayIn("lobby", id)
}

// sayIn is say in a topic.
func (c *client) sayIn(topic, id string) {
	c.t.Helper()
	for stored := false; !stored; {
		c.send(&protocol.Publish{Ref: 9, Topic: topic, ID: id, Data: protocol.Data(`1`)})
		stored = c.outcome()
	}
}

// launchCluster returns three nodes that are ready, each a process with a store of its own,
// and their settings, to which more is added.
func launchCluster(t *testing.T, more string) (settings []string, nodes []*process) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of all nodes"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes := []string{testnet.FreeAddr(t), testnet.FreeAddr(t), testnet.FreeAddr(t)}
	for i, route := range routes {
		settings = append(settings, fmt.Sprintf("{listen: '127.0.0.1:0', name: n%d, data-dir: %q, nats-secret-file: %q, cluster: %q, routes: [%s]%s}",
			i, t.TempDir(), secret, route, strings.Join(routes, ", "), more))
	}
	nodes = make([]*process, len(settings))
	launchAll(t, settings, nodes)
	return settings, nodes
}

// launchAll starts all nodes, and returns when they are ready.
func launchAll(t *testing.T, settings []string, nodes []*process) {
	t.Helper()
	for i := range nodes {
		nodes[i] = launch(t, settings[i])
	}
	for _, n := range nodes {
		n.ready(t)
	}
}

// X34, X44: of three nodes, each a process with a store of its own, one is killed while a
// line is on its way. Its client goes on at another one and has every line once and in
// order, and is never seen to leave. The node comes back with its folder and has them too.
func TestNodeWithItsStoreIsKilled(t *testing.T) {
	t.Parallel() // it mostly waits for leaders
	if testing.Short() {
		t.Skip("three servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	settings, nodes := launchCluster(t, "")
	reader, in := enterAt(t, ctx, nodes[0].addr, "reader", protocol.Subscribe{Topic: "lobby"})
	pos := in.Pos
	watcher, seen := enterAt(t, ctx, nodes[1].addr, "watcher", protocol.Subscribe{Topic: "lobby", Presence: true})
	here := newRoster(seen.Presence)
	for !slices.Contains(here.users, "reader") {
		here.apply(await[*protocol.PresenceChange](watcher))
	}
	talker, _ := enterAt(t, ctx, nodes[1].addr, "talker", protocol.Subscribe{Topic: "lobby"})
	var want []string
	for i := range 20 {
		id := fmt.Sprint(i)
		if i == 7 {
			got := reader.messages(pos, 5) // two are under way
			if !slices.Equal(got, want[:5]) {
				t.Errorf("%q", got)
			}
			reader.ws.CloseNow()
			nodes[0].kill()
		}
		want = append(want, id)
		talker.say(id)
		if i == 9 {
			reader, in = enterAt(t, ctx, nodes[2].addr, "reader", protocol.Subscribe{Topic: "lobby", Pos: pos})
			if in.State != protocol.Resumed {
				t.Fatalf("%+v", in)
			}
		}
	}
	if got := reader.messages(pos, 15); !slices.Equal(got, want[5:]) {
		t.Errorf("%q", got)
	}
	watcher.settle(func(f protocol.Frame) {
		if change, is := f.(*protocol.PresenceChange); is && slices.Contains(change.Left, "reader") {
			t.Errorf("%+v", change)
		}
	})
	nodes[0] = startProcess(t, settings[0])
	_, in = enterAt(t, ctx, nodes[0].addr, "late", protocol.Subscribe{Topic: "lobby", Last: 50})
	if got := idsOf(in.Messages); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
