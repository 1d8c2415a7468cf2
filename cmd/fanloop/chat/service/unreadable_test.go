package service_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// old are messages that an earlier version may have stored, by their ids. Clients can read
// those whose id begins with "fit".
func old(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"none": []byte("\xff")}
	for id, data := range unfit {
		if id != "large" { // by the limits of today
			all[id] = bodyWith(t, data)
		}
	}
	all["fit"] = bodyWith(t, `1`)
	all["fit-large"] = bodyWith(t, unfit["large"])
	all["fit-lines"] = bodyWith(t, "{\n\"a\": 1\n}\n")
	return all
}

func bodyWith(t *testing.T, data string) []byte {
	t.Helper()
	body, err := cbor.Marshal(&protocol.Body{User: "ann", Data: protocol.Data(data)})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// storeOld stores them all, and returns their ids and the positions before and behind them.
func storeOld(t *testing.T, ctx context.Context, s *service.Service) (ids []string, first, last *protocol.Position) {
	t.Helper()
	all := old(t)
	ids = slices.Sorted(maps.Keys(all))
	for _, id := range append([]string{"first"}, ids...) {
		body := all[id]
		if body == nil {
			body = bodyWith(t, `"first"`)
		}
		published, err := service.Store(ctx, s, "lobby", id, body)
		if err != nil {
			t.Fatal(err)
		}
		if last = published.Pos; id == "first" {
			first = last
		}
	}
	return ids, first, last
}

// checkOld compares what a client got with what is stored.
func checkOld(t *testing.T, way string, want []string, got []protocol.Message) {
	t.Helper()
	if ids := idsOf(got); !slices.Equal(ids, want) {
		t.Errorf("%s: %v, want %v", way, ids, want)
	}
	for _, m := range got {
		unreadable := m.Kind == protocol.KindUnreadable && m.Data == nil && m.User == "" && m.Target == nil
		fit := m.Kind == "" && m.User == "ann" && m.Data != nil
		if m.ID[:3] == "fit" && !fit || m.ID[:3] != "fit" && !unreadable {
			t.Errorf("%s: %+v", way, m)
		}
		if m.ID == "fit-lines" && string(m.Data) != `{"a":1}` {
			t.Errorf("%s: %s", way, m.Data)
		}
	}
}

// taken are the next n messages, by the rule of positions.
func taken(t *testing.T, n int, pos protocol.Position, next func() *protocol.Message) (all []protocol.Message) {
	t.Helper()
	for range n {
		m := next()
		if pos.Follow(m) != protocol.Take {
			t.Fatalf("%+v does not follow %+v", m, pos)
		}
		all = append(all, *m)
	}
	return all
}

// A stored message that no client can read, as an earlier version may have stored it, comes as
// one of the kind unreadable, in its place, in each way in which messages come. Nothing else is
// lost by it.
func TestUnreadableMessagesKeepTheirPlace(t *testing.T) {
	s, ctx := start(t, nil)
	live := map[string]func() *protocol.Message{}
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		c := connect(t, ctx, s, e, "live")
		c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
		live[e.Subprotocol()] = c.message
	}
	c := openStream(t, ctx, s, &protocol.Connect{Version: 1, User: "live"}, &protocol.Subscribe{Topic: "lobby", Attempt: 1})
	until[*protocol.Subscribed](c)
	live["stream"] = c.message

	ids, first, last := storeOld(t, ctx, s)
	for way, next := range live {
		if m := next(); m.ID != "first" {
			t.Fatalf("%s: %+v", way, m)
		}
		checkOld(t, "live "+way, ids, taken(t, len(ids), *first, next))
	}
	page, err := s.History(ctx, &protocol.History{Topic: "lobby", Limit: len(ids)})
	if err != nil {
		t.Fatal(err)
	}
	checkOld(t, "API", ids, page.Messages)
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		checkOldPages(t, connect(t, ctx, s, e, "bob"), e.Subprotocol(), ids, first, last)
	}
	c = openStream(t, ctx, s, &protocol.Connect{Version: 1, User: "cy"}, &protocol.Subscribe{Topic: "lobby", Attempt: 1, Pos: first})
	until[*protocol.Subscribed](c)
	checkOld(t, "resumed stream", ids, taken(t, len(ids), *first, c.message))
}

// checkOldPages reads what is stored in each way that is not live.
func checkOldPages(t *testing.T, c *client, name string, ids []string, first, last *protocol.Position) {
	t.Helper()
	got := c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Last: len(ids)})
	checkOld(t, "last "+name, ids, got.Messages)
	checkOld(t, "before "+name, ids[:len(ids)-1], history(c, protocol.History{Topic: "lobby", Before: last, Limit: len(ids) - 1}).Messages)
	checkOld(t, "after "+name, ids, history(c, protocol.History{Topic: "lobby", After: first}).Messages)
	c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 2, Pos: first})
	checkOld(t, "resumed "+name, ids, taken(t, len(ids), *first, c.message))
}

// What is unreadable is not unread, and cannot be changed. Nobody can publish it.
func TestUnreadableMessagesAreNothingToReadOrChange(t *testing.T) {
	s, ctx := start(t, nil)
	bob := connect(t, ctx, s, protocol.JSON, "bob")
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ids, first, _ := storeOld(t, ctx, s)
	bob.saw(ids[len(ids)-1])
	bob.send(&protocol.Read{Ref: 3, Topic: "lobby", Pos: first})
	bob.marks(first, 0, 3) // those that are fit

	page := history(bob, protocol.History{Topic: "lobby", Limit: len(ids)})
	i := slices.IndexFunc(page.Messages, func(m protocol.Message) bool { return m.ID == "twice" })
	target := &protocol.Target{Offset: page.Messages[i].Offset, ID: "twice"}
	bob.send(&protocol.Publish{Ref: 4, Topic: "lobby", ID: "edit", Kind: protocol.KindEdit, Target: target, Data: protocol.Data(`2`)})
	if got := bob.failure(); got.Ref != 4 || got.Code != protocol.BadTarget {
		t.Errorf("%+v", got)
	}
	bob.send(&protocol.Publish{Ref: 5, Topic: "lobby", ID: "own", Kind: protocol.KindUnreadable, Data: protocol.Data(`2`)})
	if got := bob.failure(); got.Ref != 5 || got.Code != protocol.BadField {
		t.Errorf("%+v", got)
	}
}
