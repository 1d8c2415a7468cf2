package session_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

var target = &protocol.Target{Offset: 5, ID: "x"}

// columns are the states of a session, as far as a command about topic a can see.
var columns = []struct {
	name  string
	reach func(w *world)
}{
	{"opened", func(w *world) {}},
	{"connecting", func(w *world) { w.s.Do(&protocol.Connect{Ref: 1, Version: 1}) }},
	{"connected", func(w *world) { w.connect() }},
	{"authorizing", func(w *world) { w.connect().s.Do(&protocol.Subscribe{Ref: 2, Topic: "a", Attempt: 1}) }},
	{"opening", func(w *world) {
		w.connect().s.Do(&protocol.Subscribe{Ref: 2, Topic: "a", Attempt: 1})
		w.answer("Authorize", nil)
	}},
	{"subscribed", func(w *world) { w.connect().subscribe("a", 1) }},
	{"unsubscribed", func(w *world) {
		w.connect().subscribe("a", 1).s.Do(&protocol.Unsubscribe{Topic: "a", Attempt: 1})
	}},
	{"closed", func(w *world) { w.connect().subscribe("a", 1).s.Close(protocol.Draining, "") }},
}

// rows have, for each command, what happens in each state: what is sent, and what the
// backend is asked. The command has ref 9.
var rows = []struct {
	command protocol.Command
	want    string // one cell for each column
}{
	{&protocol.Connect{Ref: 9, Version: 1},
		"call Connect | already_connected ref=9 | already_connected ref=9 | already_connected ref=9 | already_connected ref=9 | already_connected ref=9 | already_connected ref=9 |"},
	{&protocol.Subscribe{Ref: 9, Topic: "a", Attempt: 2},
		"not_connected ref=9 | | call Authorize | stale ref=2, call Authorize | stale ref=2, call Authorize | stop 1, call Authorize | call Authorize |"},
	{&protocol.Subscribe{Ref: 9, Topic: "a", Attempt: 1},
		"not_connected ref=9 | | call Authorize | stale ref=9 | stale ref=9 | stale ref=9 | stale ref=9 |"},
	{&protocol.Unsubscribe{Ref: 9, Topic: "a", Attempt: 1},
		"not_connected ref=9 | | unsubscribed ref=9 attempt=1 | stale ref=2, unsubscribed ref=9 attempt=1 | stale ref=2, unsubscribed ref=9 attempt=1 | stop 1, unsubscribed ref=9 attempt=1 | unsubscribed ref=9 attempt=1 |"},
	{&protocol.Unsubscribe{Ref: 9, Topic: "a", Attempt: 7},
		"not_connected ref=9 | | unsubscribed ref=9 attempt=7 | unsubscribed ref=9 attempt=7 | unsubscribed ref=9 attempt=7 | unsubscribed ref=9 attempt=7 | unsubscribed ref=9 attempt=7 |"},
	{&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Data: protocol.Data("1")},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Publish p | not_subscribed ref=9 |"},
	{&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Kind: "edit", Target: target, Data: protocol.Data("1")},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Author | not_subscribed ref=9 |"},
	{&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Kind: "delete", Target: target},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Author | not_subscribed ref=9 |"},
	{&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Kind: "react", Target: target, Data: protocol.Data("\"👍\"")},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Author | not_subscribed ref=9 |"},
	{&protocol.History{Ref: 9, Topic: "a"},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call History 100 | not_subscribed ref=9 |"},
	{&protocol.History{Ref: 9, Topic: "a", Limit: 7},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call History 7 | not_subscribed ref=9 |"},
	{&protocol.GetPresence{Ref: 9, Topic: "a", Limit: 1000},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Members 100 | not_subscribed ref=9 |"},
	{&protocol.Set{Ref: 9, Topic: "a", Kind: "typing", Data: protocol.Data("true")},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Set typing ann true, ok ref=9 | not_subscribed ref=9 |"},
	{&protocol.Set{Ref: 9, Topic: "a", Kind: "typing", Key: "bob", Data: protocol.Data("true")},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | forbidden ref=9 | not_subscribed ref=9 |"},
	{&protocol.Set{Ref: 9, Topic: "a", Kind: "read"},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | forbidden ref=9 | not_subscribed ref=9 |"},
	{&protocol.Set{Ref: 9, Topic: "a", Kind: "cursor", Key: "ann/1"},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Set cursor ann/1 , ok ref=9 | not_subscribed ref=9 |"},
	{&protocol.Read{Ref: 9, Topic: "a", Pos: &protocol.Position{Epoch: "e"}},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Read | not_subscribed ref=9 |"},
	{&protocol.Unread{Ref: 9, Topic: "a", Pos: &protocol.Position{Epoch: "e"}},
		"not_connected ref=9 | | not_subscribed ref=9 | not_subscribed ref=9 | not_subscribed ref=9 | call Read | not_subscribed ref=9 |"},
	{&protocol.Refresh{Ref: 9, Token: "t"},
		"not_connected ref=9 | | call Refresh | call Refresh | call Refresh | call Refresh | call Refresh |"},
	{&protocol.Refresh{Ref: 9, Token: "t", Topic: "a", Attempt: 1},
		"not_connected ref=9 | | not_subscribed ref=9 | call Authorize | call Authorize | call Authorize | not_subscribed ref=9 |"},
	{&protocol.Refresh{Ref: 9, Token: "t", Topic: "a", Attempt: 7},
		"not_connected ref=9 | | not_subscribed ref=9 | stale ref=9 | stale ref=9 | stale ref=9 | not_subscribed ref=9 |"},
	{&protocol.Ping{Ref: 9},
		"not_connected ref=9 | | pong ref=9 | pong ref=9 | pong ref=9 | pong ref=9 | pong ref=9 |"},
}

// Every command in every state.
func TestEveryCommandInEveryState(t *testing.T) {
	covered := map[reflect.Type]bool{}
	for _, row := range rows {
		covered[reflect.TypeOf(row.command)] = true
		cells := strings.Split(row.want, "|")
		if len(cells) != len(columns) {
			t.Fatalf("%T: %d cells", row.command, len(cells))
		}
		for i, column := range columns {
			w := newWorld(t)
			column.reach(w)
			w.got = nil
			w.s.Do(row.command)
			if got := strings.Join(w.got, ", "); got != strings.TrimSpace(cells[i]) {
				t.Errorf("%#v\nwhile %s: %s\nwant:  %s", row.command, column.name, got, cells[i])
			}
		}
	}
	if len(covered) != 11 {
		t.Errorf("the table has %d types of commands", len(covered))
	}
}

// What comes while the backend is asked who it is waits, and is carried out in order.
func TestCommandsBehindConnectWait(t *testing.T) {
	w := newWorld(t)
	w.s.Receive(protocol.JSON, []byte(`{"type":"connect","ref":1,"version":1}
{"type":"subscribe","ref":2,"topic":"a","attempt":1}
{"type":"ping","ref":3}`))
	w.want("call Connect")
	w.answer("Connect", nil)
	w.want("connected ref=1", "call Authorize", "pong ref=3")
}

// Each answer that a backend gives becomes one frame with the command's ref.
func TestAnswersOfTheBackend(t *testing.T) {
	for _, test := range []struct {
		command protocol.Command
		call    string
		want    string
	}{
		{&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Data: protocol.Data("1")}, "Publish", "published ref=9"},
		{&protocol.History{Ref: 9, Topic: "a"}, "History", "page ref=9"},
		{&protocol.GetPresence{Ref: 9, Topic: "a"}, "Members", "members ref=9"},
		{&protocol.Read{Ref: 9, Topic: "a"}, "Read", "marker ref=9"},
		{&protocol.Refresh{Ref: 9, Token: "t"}, "Refresh", "refreshed ref=9"},
		{&protocol.Refresh{Ref: 9, Token: "t", Topic: "a", Attempt: 1}, "Authorize", "refreshed ref=9"},
	} {
		w := newWorld(t).connect().subscribe("a", 1)
		w.s.Do(test.command)
		w.got = nil
		w.answer(test.call, nil)
		w.want(test.want)
		for err, want := range map[error]string{
			protocol.Fail(nil, protocol.Unavailable, "full"): "unavailable ref=9",
			errUnknown: "internal ref=9",
		} {
			w := newWorld(t).connect().subscribe("a", 1)
			w.s.Do(test.command)
			w.got = nil
			w.answer(test.call, err)
			w.want(want)
		}
		// Nothing is sent behind the end.
		w = newWorld(t).connect().subscribe("a", 1)
		w.s.Do(test.command)
		w.s.End()
		w.got = nil
		w.answer(test.call, nil)
		w.want()
	}
}
