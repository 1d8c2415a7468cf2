package service_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// Two nodes with one NATS server are one chat: lines, presence, typing, and a client
// that goes on from the other node.
func TestTwoNodesAreOneChat(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	shared := func(c *config.Config) { c.NATS = server.URL() }
	first, ctx := start(t, shared)
	second, _ := start(t, shared)
	ann, bob := connect(t, ctx, first, protocol.JSON, "ann"), connect(t, ctx, second, protocol.CBOR, "bob")
	asked := protocol.Subscribe{Topic: "lobby", Attempt: 1, Presence: true, Kinds: []string{protocol.KindTyping}}
	here := newRoster(ann.subscribe(asked).Presence)
	pos := bob.subscribe(asked).Pos
	for !slices.Equal(here.users, []string{"ann", "bob"}) {
		here.apply(await[*protocol.PresenceChange](ann))
	}
	bob.send(&protocol.Set{Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(`true`)})
	if got := values(ann); got.Key != "bob" {
		t.Errorf("%+v", got)
	}
	ann.publish("lobby", "1", "2")
	if got := bob.messages(pos, 2); !slices.Equal(got, []string{"1", "2"}) {
		t.Error(got)
	}
	bob.ws.CloseNow()
	ann.publish("lobby", "3")
	moved := connect(t, ctx, first, protocol.JSON, "bob")
	moved.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Pos: pos})
	if got := moved.messages(pos, 1); got[0] != "3" {
		t.Error(got)
	}
}

// What a node would ignore, it refuses.
func TestSettingsThatNoNodeFollowsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"no history": func(c *config.Config) {
			c.Namespaces["plain"] = config.Namespace{}
		},
	} {
		c := config.Default()
		change(&c)
		if s, err := service.Start(t.Context(), c, nil); !errors.Is(err, service.ErrNotServed) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				_ = s.Shutdown(t.Context())
			}
		}
	}
}

// A node whose configuration keeps more than the streams do that an earlier one made
// starts, and works with those.
func TestStoredHistoryKeepsItsLimits(t *testing.T) {
	dir := t.TempDir()
	s, ctx := start(t, func(c *config.Config) { c.DataDir = dir })
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	s, ctx = start(t, func(c *config.Config) {
		c.DataDir = dir
		for name, n := range c.Namespaces {
			n.HistorySize *= 2
			n.HistoryAge *= 2
			c.Namespaces[name] = n
		}
	})
	connect(t, ctx, s, protocol.JSON, "ann")
}
