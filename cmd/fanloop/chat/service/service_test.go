package service_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
)

// Two users talk, in both encodings: each line comes once and in order, also the own.
func TestTwoUsersTalk(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.CBOR, "bob")
	atAnn := ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	atBob := bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	if atAnn.State != protocol.Fresh || atAnn.Attempt != 1 || atAnn.Pos == nil {
		t.Fatalf("%+v", atAnn)
	}
	for i := range 5 {
		ann.send(&protocol.Publish{Topic: "lobby", ID: fmt.Sprint("a", i), Data: protocol.Data(`{"text":"hi"}`)})
	}
	want := []string{"a0", "a1", "a2", "a3", "a4"}
	if got := bob.messages(atBob.Pos, 5); !slices.Equal(got, want) {
		t.Error(got)
	}
	if got := ann.messages(atAnn.Pos, 5); !slices.Equal(got, want) {
		t.Error(got)
	}
	bob.send(&protocol.Publish{Topic: "lobby", ID: "b", Data: protocol.Data(`"hello"`)})
	m := ann.message()
	if m.User != "bob" || string(m.Data) != `"hello"` || m.Topic != "lobby" || m.Time == 0 || m.Offset == 0 {
		t.Errorf("%+v", m)
	}
}

// A publish that is repeated is stored once, and its position is the same.
func TestRepeatedPublishIsStoredOnce(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	say := &protocol.Publish{Ref: 5, Topic: "lobby", ID: "once", Data: protocol.Data(`1`)}
	ann.send(say)
	first := await[*protocol.Published](ann)
	ann.send(say)
	second := await[*protocol.Published](ann)
	if first.Duplicate || !second.Duplicate || *first.Pos != *second.Pos || first.Ref != 5 {
		t.Errorf("%+v, then %+v", first, second)
	}
	ann.send(&protocol.Publish{Topic: "lobby", ID: "next", Data: protocol.Data(`2`)})
	ann.saw("next")
	page := history(ann, protocol.History{Topic: "lobby"})
	if got := idsOf(page.Messages); got[0] != "once" || slices.Contains(got[1:], "once") {
		t.Error(got)
	}
}

// Who comes back with a position gets everything behind it, and then what is new.
func TestResumeMissesNothing(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	pos := bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "1", "2")
	bob.messages(pos, 2)
	bob.ws.CloseNow()
	ann.publish("lobby", "3", "4", "5")
	ann.saw("5")

	back := connect(t, ctx, s, protocol.JSON, "bob")
	again := back.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Pos: pos})
	if again.State != protocol.Resumed || !again.More || *again.Pos != *pos {
		t.Fatalf("%+v", again)
	}
	ann.publish("lobby", "6")
	if got := back.messages(again.Pos, 4); !slices.Equal(got, []string{"3", "4", "5", "6"}) {
		t.Error(got)
	}
}

// A position of another store is reset, and the last messages come along.
func TestUnknownPositionIsReset(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "1", "2")
	ann.saw("2")
	got := ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 2, Last: 10, Pos: &protocol.Position{Epoch: "other", Offset: 7, ID: "x"}})
	if got.State != protocol.Reset || !slices.Equal(idsOf(got.Messages), []string{"1", "2"}) || got.Pos.ID != "2" {
		t.Errorf("%+v", got)
	}
	ann.publish("lobby", "3")
}

// A fresh subscription gets as many of the last messages as it asks for, also when the
// node has only the newest of them in memory.
func TestLastMessagesAreThoseOfTheStoreToo(t *testing.T) {
	first, second, ctx := two(t, nil)
	ann := connect(t, ctx, first, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "1", "2", "3", "4", "5")
	ann.saw("5")
	bob := connect(t, ctx, second, protocol.JSON, "bob")
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}) // this node has what follows
	ann.publish("lobby", "6")
	bob.saw("6")
	for last, want := range map[int][]string{50: {"1", "2", "3", "4", "5", "6"}, 3: {"4", "5", "6"}, 1: {"6"}} {
		late := connect(t, ctx, second, protocol.JSON, fmt.Sprint("late", last))
		got := late.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Last: last})
		if !slices.Equal(idsOf(got.Messages), want) || got.Begin != (last == 50) || got.Pos.ID != "6" {
			t.Errorf("the last %d are %v, begin %v", last, idsOf(got.Messages), got.Begin)
		}
	}
}

// History scrolls back and forth without gaps or jumps.
func TestHistoryScrollsBothWays(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	var all []string
	for i := range 25 {
		all = append(all, fmt.Sprint("m", i))
	}
	ann.publish("lobby", all...)
	ann.saw("m24")

	var back []string
	page := history(ann, protocol.History{Topic: "lobby", Limit: 7})
	if !page.End {
		t.Error("the last page is not the end")
	}
	oldest := page
	for back = idsOf(page.Messages); !page.Begin; back = append(idsOf(page.Messages), back...) {
		page = history(ann, protocol.History{Topic: "lobby", Limit: 7, Before: oldest.Back})
		if len(page.Messages) > 0 {
			oldest = page
		}
	}
	if !slices.Equal(back, all) {
		t.Error(back)
	}
	forward := idsOf(oldest.Messages)
	for page = oldest; len(forward) < len(all); {
		page = history(ann, protocol.History{Topic: "lobby", Limit: 7, After: page.Forward})
		forward = append(forward, idsOf(page.Messages)...)
	}
	if !slices.Equal(forward, all) || !page.End {
		t.Error(forward, page.End)
	}
}

// Own messages are changed, and those of others are not.
func TestOnlyOwnMessagesAreChanged(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	for _, c := range []*client{ann, bob} {
		c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	}
	ann.send(&protocol.Publish{Ref: 2, Topic: "lobby", ID: "x", Data: protocol.Data(`1`)})
	pos := await[*protocol.Published](ann).Pos
	edit := protocol.Publish{Ref: 3, Topic: "lobby", ID: "e", Kind: protocol.KindEdit, Target: &protocol.Target{Offset: pos.Offset, ID: "x"}, Data: protocol.Data(`2`)}
	bob.send(&edit)
	if got := bob.failure(); got.Code != protocol.Forbidden {
		t.Errorf("%+v", got)
	}
	ann.send(&edit)
	await[*protocol.Published](ann)
	edit.ID, edit.Target = "f", &protocol.Target{Offset: pos.Offset, ID: "another"}
	ann.send(&edit)
	if got := ann.failure(); got.Code != protocol.BadTarget {
		t.Errorf("%+v", got)
	}
}

// What changes a message names one that is there: a message of any kind, but for those that
// change others.
func TestWhatChangesAMessageNamesOneThatIsThere(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	publish := func(id, kind string, target *protocol.Target, data string) {
		c := &protocol.Publish{Ref: 3, Topic: "lobby", ID: id, Kind: kind, Target: target}
		if data != "" {
			c.Data = protocol.Data(data)
		}
		ann.send(c)
	}
	publish("poll", "app.poll", nil, `{"question":"?"}`)
	poll := &protocol.Target{Offset: await[*protocol.Published](ann).Pos.Offset, ID: "poll"}
	publish("r", protocol.KindReact, poll, `"👍"`)
	reaction := &protocol.Target{Offset: await[*protocol.Published](ann).Pos.Offset, ID: "r"}
	n := 0
	for kind, data := range map[string]string{protocol.KindReact: `"👍"`, protocol.KindUnreact: `"👍"`, protocol.KindEdit: `1`, protocol.KindDelete: ""} {
		for _, target := range []*protocol.Target{{Offset: poll.Offset, ID: "other"}, {Offset: poll.Offset + 1000, ID: "poll"}, reaction} {
			n++
			publish(fmt.Sprint("bad", n), kind, target, data)
			if got := ann.failure(); got.Code != protocol.BadTarget {
				t.Errorf("%s of %+v: %+v", kind, target, got)
			}
		}
		publish("good-"+kind, kind, poll, data)
		await[*protocol.Published](ann)
	}
}

// What cannot be read closes the connection of who sent it.
func TestMalformedCloses(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	if err := ann.ws.Write(ctx, engine.Text, []byte(`{"type":"ping","ref":1,"ref":2}`)); err != nil {
		t.Fatal(err)
	}
	if got := ann.failure(); got.Code != protocol.BadFrame {
		t.Errorf("%+v", got)
	}
	await[*protocol.Closing](ann)
	_, _, err := ann.ws.Read(ctx)
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != engine.StatusCode(protocol.BadFrame.Close()) {
		t.Error(err)
	}
	bob.send(&protocol.Ping{Ref: 9})
	await[*protocol.Pong](bob)
}

// A session has one connection, which has a name of its own for it: the new one goes on, the
// old one is closed. Any of the names leads to it.
func TestSessionHasOneConnection(t *testing.T) {
	s, ctx := start(t, nil)
	first := dial(t, ctx, s, protocol.JSON)
	first.send(&protocol.Connect{Ref: 1, Version: 1, User: "ann"})
	session := await[*protocol.Connected](first).Session
	named := map[string]bool{session: true}
	for _, c := range []struct {
		user  string
		state protocol.State
	}{{"bob", protocol.Reset}, {"ann", protocol.Resumed}, {"ann", protocol.Resumed}} {
		next := dial(t, ctx, s, protocol.JSON)
		next.send(&protocol.Connect{Ref: 1, Version: 1, User: c.user, Session: session})
		got := await[*protocol.Connected](next)
		if got.State != c.state || named[got.Session] {
			t.Errorf("%s: %+v", c.user, got)
		}
		named[got.Session] = true
	}
	if got := await[*protocol.Closing](first); got.Code != protocol.Replaced {
		t.Errorf("%+v", got)
	}
}

func history(c *client, h protocol.History) *protocol.Page {
	c.t.Helper()
	h.Ref = 77
	c.send(&h)
	return await[*protocol.Page](c)
}

func idsOf(all []protocol.Message) (ids []string) {
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}

// failure is the next error.
func (c *client) failure() *protocol.Error {
	c.t.Helper()
	for {
		if e, is := c.next().(*protocol.Error); is {
			return e
		}
	}
}

// The port serves the page with its policy, and the client.
func TestThePortServesThePage(t *testing.T) {
	s, ctx := start(t, nil)
	for path, want := range map[string]string{"/": "text/html", "/fanloop.js": "text/javascript", "/app.js": "text/javascript"} {
		got := get(t, ctx, "http://"+s.Addr()+path)
		if got.StatusCode != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), want) || got.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %s %v", path, got.Status, got.Header)
		}
	}
	if got := get(t, ctx, "http://"+s.Addr()+"/nothing"); got.StatusCode != http.StatusNotFound {
		t.Error(got.Status)
	}
}

func get(t *testing.T, ctx context.Context, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close(); http.DefaultClient.CloseIdleConnections() })
	return resp
}

// X10: ids belong to users. Two who use the same one publish two messages; who repeats
// his own, also from another connection, has published one.
func TestIdsBelongToUsers(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	cy := connect(t, ctx, s, protocol.JSON, "cy") // publishes nothing: no message is passed over while it waits for an answer
	pos := cy.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	publish := func(c *client) *protocol.Published {
		c.send(&protocol.Publish{Ref: 5, Topic: "lobby", ID: "same", Data: protocol.Data(`1`)})
		return await[*protocol.Published](c)
	}
	first, second := publish(ann), publish(bob)
	if second.Duplicate || second.Pos.Offset == first.Pos.Offset {
		t.Errorf("%+v is taken for %+v", second, first)
	}
	again := connect(t, ctx, s, protocol.CBOR, "ann")
	again.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	if got := publish(again); !got.Duplicate || *got.Pos != *first.Pos {
		t.Errorf("%+v, want %+v", got.Pos, first.Pos)
	}
	if got := cy.messages(pos, 2); !slices.Equal(got, []string{"same", "same"}) {
		t.Error(got)
	}
}

// X15: what was missed comes in pages, of which all but the last say that more follows.
func TestPagesSayThatMoreFollows(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	})
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	pos := ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	last := ""
	for i := range 60 {
		var ids []string
		for k := range 10 {
			last = fmt.Sprint(i, "-", k)
			ids = append(ids, last)
		}
		ann.publish("lobby", ids...)
	}
	bob := connect(t, ctx, s, protocol.CBOR, "bob")
	if got := bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Pos: pos}); !got.More {
		t.Errorf("%+v", got)
	}
	for pages := 1; ; pages++ {
		page := await[*protocol.Messages](bob)
		if ends := page.Messages[len(page.Messages)-1].ID == last; ends == page.More {
			t.Errorf("page %d: the end is %v, more is %v", pages, ends, page.More)
		} else if ends {
			if pages == 1 {
				t.Error("there was one page")
			}
			return
		}
	}
}
