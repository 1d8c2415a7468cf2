package service_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
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

// A topic without history is relayed: who is there gets it, on both nodes, in the order of
// each publisher; nothing has a position, and nothing is kept.
func TestTopicWithoutHistory(t *testing.T) {
	first, second, ctx := two(t, func(c *config.Config) {
		plain := c.Namespaces[config.DefaultNamespace]
		plain.HistorySize, plain.HistoryAge = 0, 0
		c.Namespaces["plain"] = plain
		c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	})
	for _, topic := range []string{"plain:x", "plain:" + strings.Repeat("y", 249)} {
		ann, bob := connect(t, ctx, first, protocol.JSON, "ann"), connect(t, ctx, second, protocol.CBOR, "bob")
		for _, c := range []*client{ann, bob} {
			if got := c.subscribe(protocol.Subscribe{Topic: topic, Attempt: 1, Last: 10, Presence: true}); got.Pos != nil || len(got.Messages) > 0 || got.State != protocol.Fresh {
				t.Errorf("%+v", got)
			}
		}
		heard := make(chan *protocol.Message, 1)
		go func() { // what is published before the other node listens does not reach it
			for {
				if m, is := bob.next().(*protocol.Message); is {
					heard <- m
					return
				}
			}
		}()
		var m *protocol.Message
		for i := 0; m == nil; i++ {
			ann.send(&protocol.Publish{Ref: 5, Topic: topic, ID: fmt.Sprint(i), Data: protocol.Data(`1`)})
			if got := await[*protocol.Published](ann); got.Pos != nil {
				t.Fatalf("%+v", got)
			}
			select {
			case m = <-heard:
			case <-time.After(10 * time.Millisecond):
			}
		}
		if m.Topic != topic || m.User != "ann" || m.Offset != 0 || m.Prev != 0 {
			t.Errorf("%+v", m)
		}
		ann.send(&protocol.History{Ref: 6, Topic: topic})
		if got := ann.failure(); got.Code != protocol.Off {
			t.Errorf("%+v", got)
		}
		again := protocol.Subscribe{Topic: topic, Attempt: 2, Pos: &protocol.Position{Epoch: "x", Offset: 1, ID: "1"}}
		if got := bob.subscribe(again); got.State != protocol.Reset || got.Pos != nil {
			t.Errorf("%+v", got)
		}
	}
}

// Who comes to another node takes the session along: the old connection is told and closed
// at once, by WebSocket or by stream, and nobody else's is.
func TestSessionGoesToAnotherNode(t *testing.T) {
	first, second, ctx := two(t, nil)
	hello := func(user, session string) *protocol.Connect {
		return &protocol.Connect{Ref: 1, Version: 1, User: user, Session: session}
	}
	socket := dial(t, ctx, first, protocol.JSON)
	socket.send(hello("ann", ""))
	session := await[*protocol.Connected](socket).Session

	thief := dial(t, ctx, second, protocol.JSON)
	thief.send(hello("eve", session))
	if got := await[*protocol.Connected](thief); got.State != protocol.Reset || got.Session == session {
		t.Errorf("%+v", got)
	}
	socket.send(&protocol.Ping{Ref: 2})
	await[*protocol.Pong](socket)

	moved := openStream(t, ctx, second, hello("ann", session))
	got := until[*protocol.Connected](moved)
	if got.State != protocol.Resumed || got.Session == session {
		t.Errorf("%+v", got)
	}
	socket.closes(protocol.Replaced)

	back := dial(t, ctx, first, protocol.JSON)
	back.send(hello("ann", got.Session))
	if got := await[*protocol.Connected](back); got.State != protocol.Resumed {
		t.Errorf("%+v", got)
	}
	if got := until[*protocol.Closing](moved); got.Code != protocol.Replaced || got.Retry != protocol.Never {
		t.Errorf("%+v", got)
	}
	again := dial(t, ctx, second, protocol.JSON)
	again.send(hello("ann", session))
	if got := await[*protocol.Connected](again); got.State != protocol.Reset {
		t.Errorf("an old session is known: %+v", got)
	}
}
