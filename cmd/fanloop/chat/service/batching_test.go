package service_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// In a busy room everybody gets each message once and in order, and typing and presence ride
// along in the same batches. The operator sees that it is busy.
func TestBusyRoom(t *testing.T) {
	service.PriceSends(t, 20*time.Millisecond)
	s, ctx := start(t, nil)
	subscribe := protocol.Subscribe{Topic: "lobby", Attempt: 1, Presence: true, Kinds: []string{protocol.KindTyping}}
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	from := ann.subscribe(subscribe)
	bob := connect(t, ctx, s, protocol.CBOR, "bob")
	at := bob.subscribe(subscribe)
	var ids []string
	delayed := false
	for i := range 40 {
		ids = append(ids, fmt.Sprint("m", i))
		ann.send(&protocol.Publish{Ref: protocol.Ref(10 + i), Topic: "lobby", ID: ids[i], Data: protocol.Data(`1`)})
		ann.send(&protocol.Set{Ref: protocol.Ref(100 + i), Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(fmt.Sprint(i))})
		connect(t, ctx, s, protocol.JSON, fmt.Sprint("user", i)).subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
		for _, topic := range s.Look(5).Topics {
			delayed = delayed || topic.Name == "lobby" && topic.Delay > 0
		}
	}
	typed := ""
	joined := newRoster(at.Presence)
	var got []string
	for pos := *at.Pos; len(got) < len(ids) || typed != "39" || joined.count != 42; {
		switch f := bob.next().(type) {
		case *protocol.Message, *protocol.Messages:
			for _, one := range single(f) {
				m := one.(*protocol.Message)
				if pos.Follow(m) != protocol.Take {
					t.Fatalf("%+v does not follow %+v", m, pos)
				}
				got = append(got, m.ID)
			}
		case *protocol.Values:
			typed = string(f.Values[len(f.Values)-1].Data)
		case *protocol.PresenceChange:
			joined.apply(f)
		case *protocol.Error, *protocol.ResetTo, *protocol.Unsubscribed:
			t.Fatalf("%+v", f)
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %q", got)
	}
	if mine := ann.messages(from.Pos, len(ids)); !slices.Equal(mine, ids) {
		t.Errorf("who published got %q", mine)
	}
	if st := s.Engine().Stats(); st.BatchMessages <= st.BatchFlushes || !delayed {
		t.Errorf("%d messages in %d flushes, and an operator saw a delay: %v", st.BatchMessages, st.BatchFlushes, delayed)
	}
}

// X36: who is removed from a busy room gets nothing of it after the server API's answer, of
// what waited then or was published later.
func TestNothingOfABatchReachesWhoWasRemoved(t *testing.T) {
	service.PriceSends(t, 20*time.Millisecond)
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	bob := connect(t, ctx, s, protocol.JSON, "bob")
	kinds := []string{protocol.KindTyping}
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Presence: true, Kinds: kinds})
	for i := range 10 {
		ann.send(&protocol.Publish{Ref: protocol.Ref(10 + i), Topic: "lobby", ID: fmt.Sprint("before", i), Data: protocol.Data(`1`)})
	}
	ann.saw("before9")
	ann.send(&protocol.Set{Ref: 50, Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(`1`)})
	if n, err := s.Unsubscribe(ctx, "bob", "lobby"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for i := range 100 {
		after := protocol.Publish{Topic: "lobby", ID: fmt.Sprint("after", i), Data: protocol.Data(`1`)}
		if _, err := s.Publish(ctx, "backend", "", &after); err != nil {
			t.Fatal(err)
		}
	}
	ann.saw("after99")
	bob.send(&protocol.Unsubscribe{Ref: 99, Topic: "elsewhere"}) // what is answered last
	out := false
	for done := false; !done; {
		switch f := bob.next().(type) {
		case *protocol.Message, *protocol.Messages:
			for _, one := range single(f) {
				if m := one.(*protocol.Message); out || m.ID[:1] == "a" {
					t.Errorf("got %q; it was removed before: %v", m.ID, out)
				}
			}
		case *protocol.Values, *protocol.PresenceChange:
			if out {
				t.Errorf("got %+v after it was removed", f)
			}
		case *protocol.Unsubscribed:
			out = true
		case *protocol.OK:
			done = f.Ref == 99
		case *protocol.Error:
			done = f.Ref == 99
		}
	}
	if !out {
		t.Error("nobody told it that it was removed")
	}
}
