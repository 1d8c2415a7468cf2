package service_test

import (
	"encoding/json"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// posOf is the position of what was published, for a marker.
func (c *client) posOf(topic, id string) *protocol.Position {
	c.t.Helper()
	c.send(&protocol.Publish{Ref: 90, Topic: topic, ID: id, Data: protocol.Data(`1`)})
	return await[*protocol.Published](c).Pos
}

// marks waits for a marker, and compares it.
func (c *client) marks(pos *protocol.Position, version uint32, unread int) {
	c.t.Helper()
	got := await[*protocol.MarkerIs](c)
	if got.Pos != *pos || got.Version != version || got.Unread == nil || *got.Unread != unread {
		c.t.Errorf("%+v, unread %v; want %+v, version %d, unread %d", got, deref(got.Unread), pos, version, unread)
	}
}

func deref(n *int) any {
	if n == nil {
		return "unknown"
	}
	return *n
}

// X23, X24: of two markers the further one wins, whatever comes last; a step back is a
// command of its own, after which what is late changes nothing. All connections of the
// user have the same, on both nodes; own messages are not unread.
func TestMarkersAreThoseOfTheUser(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	shared := func(c *config.Config) { c.NATS = server.URL() }
	first, ctx := start(t, shared)
	second, _ := start(t, shared)
	here, there := connect(t, ctx, first, protocol.JSON, "ann"), connect(t, ctx, second, protocol.CBOR, "ann")
	bob := connect(t, ctx, first, protocol.JSON, "bob")
	for _, c := range []*client{here, there, bob} {
		if got := c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}); got.Marker != nil || got.Unread != nil {
			t.Errorf("%+v", got)
		}
	}
	elsewhere := &protocol.Position{Epoch: "elsewhere", Offset: 1, ID: "x"}
	for _, c := range []protocol.Command{&protocol.Read{Ref: 3, Topic: "lobby", Pos: elsewhere}, &protocol.Unread{Ref: 3, Topic: "lobby", Pos: elsewhere, Version: 1}} {
		here.send(c)
		if got := here.failure(); got.Code != protocol.PositionLost || got.Ref != 3 {
			t.Errorf("without a marker: %+v", got)
		}
	}
	one, two := bob.posOf("lobby", "1"), bob.posOf("lobby", "2")
	early := connect(t, ctx, first, protocol.JSON, "cy")
	early.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	early.send(&protocol.Unread{Ref: 4, Topic: "lobby", Pos: one, Version: 7}) // of a marker that was forgotten
	early.marks(one, 8, 1)
	own, three := here.posOf("lobby", "own"), bob.posOf("lobby", "3")
	there.saw("3")

	here.send(&protocol.Read{Ref: 5, Topic: "lobby", Pos: two})
	here.marks(two, 0, 1) // of two, own and 3
	there.marks(two, 0, 1)
	there.send(&protocol.Read{Ref: 6, Topic: "lobby", Pos: one}) // late
	there.marks(two, 0, 1)
	there.send(&protocol.Unread{Ref: 7, Topic: "lobby", Pos: one})
	there.marks(one, 1, 2)
	here.marks(one, 1, 2)
	here.send(&protocol.Read{Ref: 8, Topic: "lobby", Pos: three}) // from before the step back
	here.marks(one, 1, 2)
	here.send(&protocol.Read{Ref: 9, Topic: "lobby", Pos: own, Version: 1})
	here.marks(own, 1, 1)

	ahead := *three
	ahead.Offset += 1000
	here.send(&protocol.Read{Ref: 10, Topic: "lobby", Pos: &ahead, Version: 1})
	if got := here.failure(); got.Code != protocol.PositionLost {
		t.Errorf("%+v", got)
	}
	late := connect(t, ctx, second, protocol.JSON, "ann")
	got := late.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	if got.Marker == nil || got.Marker.Pos != *own || got.Marker.Version != 1 || got.Unread == nil || *got.Unread != 1 {
		t.Errorf("%+v, unread %v", got.Marker, deref(got.Unread))
	}
}

// X23: a passive subscriber knows how much is unread, by notes, without own messages; and
// another connection that reads changes it.
func TestNotesSayWhatIsUnread(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	list := connect(t, ctx, s, protocol.CBOR, "ann")
	for _, c := range []*client{ann, bob} {
		c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	}
	at := bob.posOf("lobby", "1")
	ann.saw("1")
	ann.send(&protocol.Read{Ref: 5, Topic: "lobby", Pos: at})
	ann.marks(at, 0, 0)
	got := list.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Mode: protocol.Passive})
	if got.Marker == nil || got.Unread == nil || *got.Unread != 0 || got.Count == 0 {
		t.Errorf("%+v", got)
	}
	bob.posOf("lobby", "2")
	ann.posOf("lobby", "own")
	at = bob.posOf("lobby", "3")
	for {
		if note := await[*protocol.Note](list); note.Unread != nil && *note.Unread == 2 {
			break
		} else if note.Unread == nil || *note.Unread > 2 {
			t.Fatalf("unread %v", deref(note.Unread))
		}
	}
	ann.saw("3")
	ann.send(&protocol.Read{Ref: 6, Topic: "lobby", Pos: at})
	list.marks(at, 0, 0)
	bob.posOf("lobby", "4")
	if note := await[*protocol.Note](list); deref(note.Unread) != 1 {
		t.Errorf("unread %v", deref(note.Unread))
	}
}

// X23: others see how far a user has read, from both nodes, and who joins later too; never
// that somebody marked something as unread.
func TestOthersSeeReadPositions(t *testing.T) {
	first, second, ctx := two(t, func(c *config.Config) {
		hidden := c.Namespaces[config.DefaultNamespace]
		hidden.ReadPositions = false
		c.Namespaces["hidden"] = hidden
	})
	asked := protocol.Subscribe{Topic: "lobby", Attempt: 1, Kinds: []string{protocol.KindRead}}
	ann, bob := connect(t, ctx, first, protocol.JSON, "ann"), connect(t, ctx, second, protocol.CBOR, "bob")
	bob.subscribe(asked)
	if got := ann.subscribe(asked).Kinds; len(got) != 1 || got[0].Kind != protocol.KindRead || len(got[0].Values) != 0 {
		t.Errorf("%+v", got)
	}
	one, two := bob.posOf("lobby", "1"), bob.posOf("lobby", "2")
	ann.saw("2")
	sees := func(c *client, user string, pos *protocol.Position) {
		t.Helper()
		for {
			if v := values(c); v.Key == user {
				if got := positionIn(t, v.Data); got != *pos {
					t.Errorf("%+v, want %+v", got, pos)
				}
				return
			}
		}
	}
	ann.send(&protocol.Read{Ref: 5, Topic: "lobby", Pos: one})
	sees(bob, "ann", one)
	ann.send(&protocol.Unread{Ref: 6, Topic: "lobby", Pos: one})
	for await[*protocol.MarkerIs](ann).Ref != 6 {
	}
	ann.send(&protocol.Read{Ref: 7, Topic: "lobby", Pos: two, Version: 1})
	sees(bob, "ann", two)
	late := connect(t, ctx, second, protocol.JSON, "cy")
	got := late.subscribe(asked).Kinds[0].Values
	if len(got) != 1 || got[0].Key != "ann" || positionIn(t, got[0].Data) != *two {
		t.Errorf("%+v", got)
	}
	hidden := asked
	hidden.Topic, hidden.Attempt = "hidden:x", 2
	if got := ann.subscribe(hidden).Kinds; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func positionIn(t *testing.T, data protocol.Data) (pos protocol.Position) {
	t.Helper()
	if err := json.Unmarshal(data, &pos); err != nil {
		t.Error(err)
	}
	return pos
}
