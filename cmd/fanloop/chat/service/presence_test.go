package service_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// Two connections of a user are one, and who joins is told to who asked for it.
func TestWhoIsThere(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	first := ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Presence: true})
	here := newRoster(first.Presence)
	for _, user := range []string{"bob", "bob", "cy"} {
		connect(t, ctx, s, protocol.CBOR, user).subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	}
	for !slices.Equal(here.users, []string{"ann", "bob", "cy"}) {
		here.apply(await[*protocol.PresenceChange](ann))
	}
	if here.count != 3 {
		t.Error(here.count)
	}
	late := connect(t, ctx, s, protocol.CBOR, "ann")
	got := late.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Presence: true}).Presence
	if got == nil || got.Level != "full" || got.Count != 3 || !slices.Equal(got.Users, []string{"ann", "bob", "cy"}) {
		t.Errorf("%+v", got)
	}
	late.send(&protocol.GetPresence{Ref: 8, Topic: "lobby", Limit: 2})
	page := await[*protocol.Members](late)
	want := []protocol.Member{{User: "ann", Connections: 2}, {User: "bob", Connections: 2}}
	if !slices.Equal(page.Members, want) || page.End || page.Count != 3 {
		t.Errorf("%+v", page)
	}
	late.send(&protocol.GetPresence{Ref: 9, Topic: "lobby", Limit: 2, After: "bob"})
	if page = await[*protocol.Members](late); len(page.Members) != 1 || !page.End {
		t.Errorf("%+v", page)
	}
}

// roster is what a client knows of a topic's presence.
type roster struct {
	seq   uint64
	count int
	users []string
}

func newRoster(p *protocol.Presence) *roster { return &roster{p.Seq, p.Count, slices.Clone(p.Users)} }

func (r *roster) apply(c *protocol.PresenceChange) {
	if c.Seq <= r.seq {
		return
	}
	r.seq, r.count = c.Seq, c.Count
	if c.Reset {
		r.users = nil
	}
	r.users = slices.DeleteFunc(append(r.users, c.Joined...), func(u string) bool { return slices.Contains(c.Left, u) })
	slices.Sort(r.users)
	r.users = slices.Compact(r.users)
}

// Who types is shown to those who are there, and to those who come.
func TestTyping(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.CBOR, "bob")
	kinds := []string{protocol.KindTyping}
	set := ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Kinds: kinds}).Kinds
	if len(set) != 1 || set[0].Kind != protocol.KindTyping || set[0].Lifetime == 0 || len(set[0].Values) != 0 {
		t.Fatalf("%+v", set)
	}
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	bob.send(&protocol.Set{Ref: 4, Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(`true`)})
	await[*protocol.OK](bob)
	if got := values(ann); got.Key != "bob" || string(got.Data) != "true" {
		t.Errorf("%+v", got)
	}
	late := connect(t, ctx, s, protocol.JSON, "cy")
	for attempt := uint32(1); ; attempt++ {
		set = late.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: attempt, Kinds: kinds}).Kinds
		if len(set) != 1 || len(set[0].Values) > 1 {
			t.Fatalf("%+v", set)
		}
		if len(set[0].Values) == 1 {
			break
		}
		bob.send(&protocol.Set{Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(`true`)}) // cy was slow to come
	}
	if got := set[0].Values[0]; got.Key != "bob" {
		t.Errorf("%+v", got)
	}
	bob.send(&protocol.Set{Topic: "lobby", Kind: protocol.KindTyping})
	for got := values(ann); got.Data != nil; got = values(ann) { // of a cy who was slow
		if got.Key != "bob" {
			t.Errorf("%+v", got)
		}
	}
	bob.send(&protocol.Set{Ref: 5, Topic: "lobby", Kind: "unheard", Data: protocol.Data(`1`)})
	if got := bob.failure(); got.Code != protocol.UnknownKind || !strings.HasSuffix(got.Message, " unheard") {
		t.Errorf("%+v", got)
	}
	bob.send(&protocol.Subscribe{Ref: 6, Topic: "other", Attempt: 9, Kinds: []string{protocol.KindTyping, "unheard"}})
	if got := bob.failure(); got.Code != protocol.UnknownKind || !strings.HasSuffix(got.Message, " unheard") {
		t.Errorf("%+v", got)
	}
}

// values is the next value of a frame that has some.
func values(c *client) protocol.Value {
	c.t.Helper()
	for {
		if f := await[*protocol.Values](c); len(f.Values) > 0 {
			return f.Values[len(f.Values)-1]
		}
	}
}

// A passive subscriber gets to know that there is something, and not what.
func TestPassiveSubscriberGetsNotes(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	got := bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Mode: protocol.Passive})
	if got.Pos != nil || got.Count == 0 {
		t.Errorf("%+v", got)
	}
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "1")
	for {
		switch f := bob.next().(type) {
		case *protocol.Note:
			if f.Topic != "lobby" || f.Count == 0 || f.Count == got.Count {
				t.Errorf("%+v", f)
			}
			return
		default:
			t.Fatalf("%+v", f)
		}
	}
}

// An unsubscribe ends all that the subscription brought.
func TestUnsubscribeEndsEverything(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	for _, c := range []*client{ann, bob} {
		c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Presence: true, Kinds: []string{protocol.KindTyping}})
	}
	bob.send(&protocol.Unsubscribe{Ref: 3, Topic: "lobby", Attempt: 1})
	await[*protocol.Unsubscribed](bob)
	ann.send(&protocol.Set{Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(`true`)}, &protocol.Publish{Topic: "lobby", ID: "1", Data: protocol.Data(`1`)})
	for typing := false; !typing || ann.last != "1"; { // in either order
		if f, is := ann.next().(*protocol.Values); is && len(f.Values) > 0 {
			typing = true
		}
	}
	bob.send(&protocol.Ping{Ref: 4})
	if f, is := bob.next().(*protocol.Pong); !is {
		t.Errorf("%+v", f)
	}
}
