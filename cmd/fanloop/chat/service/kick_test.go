package service_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// three runs three nodes that share a store.
func three(t *testing.T, change func(*config.Config)) (nodes [3]*service.Service, ctx context.Context) {
	t.Helper()
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for i := range nodes {
		nodes[i], ctx = start(t, func(c *config.Config) {
			change(c)
			c.NATS, c.Name = server.URL(), fmt.Sprint("n", i+1)
		})
	}
	return nodes, ctx
}

// club is the backend of a topic with members.
type club struct {
	members sync.Map      // of names
	held    chan struct{} // one element for each publish that is held
	release chan struct{}
}

func newClub(members ...string) *club {
	c := &club{held: make(chan struct{}, 16), release: make(chan struct{})}
	for _, m := range members {
		c.members.Store(m, true)
	}
	return c
}

func (c *club) decide(q asked) string {
	_, in := c.members.Load(q.User)
	switch {
	case q.Hook == "connect":
		return fmt.Sprintf(`{"allow":true,"user":%q}`, q.Token)
	case q.Hook == "publish" && q.ID == "held":
		c.held <- struct{}{}
		<-c.release
		return `{"allow":true}` // as it was when it was asked
	case q.Hook == "subscribe" && !in:
		return `{"allow":false,"reason":"not a member"}`
	case q.Hook == "subscribe":
		return `{"allow":true,"rights":["subscribe"]}`
	}
	return `{"allow":true}`
}

// settle is a ping; what is on its way to c comes before the answer.
func (c *client) settle(seen func(protocol.Frame)) {
	c.t.Helper()
	c.send(&protocol.Ping{Ref: 9999})
	for {
		f := c.next()
		if _, is := f.(*protocol.Pong); is {
			return
		}
		seen(f)
	}
}

// kickedOut fails for what a user who was kicked out, when the topic ended at end, may not
// get any more.
func kickedOut(t *testing.T, where string, end protocol.Position, f protocol.Frame) {
	t.Helper()
	switch f := f.(type) {
	case *protocol.Error, *protocol.Pong:
	case *protocol.Published:
		if f.Pos.Offset > end.Offset {
			t.Errorf("%s: %+v was stored behind %+v", where, f, end)
		}
	case *protocol.Messages:
		if len(f.Messages) > 0 {
			t.Errorf("%s: %+v", where, f)
		}
	default:
		t.Errorf("%s: %T %+v", where, f, f)
	}
}

// attempts are all that a user could try in a topic, with refs from 100 on.
func attempts(topic string, pos *protocol.Position) []protocol.Command {
	end := *pos
	return []protocol.Command{
		&protocol.History{Ref: 100, Topic: topic},
		&protocol.History{Ref: 101, Topic: topic, After: &end},
		&protocol.GetPresence{Ref: 102, Topic: topic},
		&protocol.Read{Ref: 103, Topic: topic, Pos: &end},
		&protocol.Unread{Ref: 104, Topic: topic, Pos: &end},
		&protocol.Set{Ref: 105, Topic: topic, Kind: protocol.KindTyping, Data: protocol.Data(`true`)},
		&protocol.Publish{Ref: 106, Topic: topic, ID: "after", Data: protocol.Data(`1`)},
		&protocol.Publish{Ref: 107, Topic: topic, ID: "react", Kind: protocol.KindReact, Target: &protocol.Target{Offset: pos.Offset, ID: pos.ID}, Data: protocol.Data(`"👍"`)},
		&protocol.Subscribe{Ref: 108, Topic: topic, Attempt: 100, Pos: &end},
		&protocol.Subscribe{Ref: 109, Topic: topic, Attempt: 101, Last: 50, Presence: true},
		&protocol.Subscribe{Ref: 110, Topic: topic, Attempt: 102, Mode: protocol.Passive},
	}
}

// X36: a user is kicked out through another node, with a WebSocket on the first, a stream on
// the second, pages of history and publishes under way. When the call returns, nothing of
// the topic reaches the user by any transport, nothing that the user asks for is answered,
// nothing of the user is stored, and a position that was kept gives nothing.
func TestKickedOutEverywhere(t *testing.T) {
	const topic = "private:club"
	backend := newClub("ann", "bob", "cy", "dora")
	nodes, ctx := three(t, func(c *config.Config) {
		withBackend(t, backend.decide, "connect", "subscribe", "publish")(c)
		c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	})
	free := sync.OnceFunc(func() { close(backend.release) })
	t.Cleanup(free)
	hello := func(user string) *protocol.Connect { return &protocol.Connect{Ref: 1, Version: 1, Token: user} }
	in := &protocol.Subscribe{Ref: 2, Topic: topic, Attempt: 1, Last: 10, Presence: true, Kinds: []string{protocol.KindTyping, protocol.KindRead}}
	socketOf := func(node *service.Service, user string) (*client, *protocol.Subscribed) {
		c := dial(t, ctx, node, protocol.JSON)
		c.send(hello(user), in)
		return c, await[*protocol.Subscribed](c)
	}
	socket, subscribed := socketOf(nodes[0], "ann")
	kept := subscribed.Pos
	stream := openStream(t, ctx, nodes[1], hello("ann"), in)
	until[*protocol.Subscribed](stream)
	var witnesses []*client // on each node
	for i, user := range []string{"bob", "cy", "dora"} {
		c, _ := socketOf(nodes[i], user)
		witnesses = append(witnesses, c)
	}
	socket.publish(topic, "before")
	socket.saw("before")
	for stream.message().ID != "before" {
	}
	for connections := []service.Connection(nil); len(connections) < 2; {
		connections, _ = nodes[2].User(ctx, "ann")
	}

	// Under way: a publish that the backend is asked about, others that go to the store, and
	// pages.
	socket.send(&protocol.Publish{Ref: 50, Topic: topic, ID: "held", Data: protocol.Data(`1`)})
	<-backend.held
	for i := range 30 {
		socket.send(&protocol.History{Ref: protocol.Ref(51 + i), Topic: topic})
	}
	if got := stream.do(1, &protocol.History{Ref: 60, Topic: topic}, &protocol.Publish{Ref: 61, Topic: topic, ID: "under-way", Data: protocol.Data(`1`)}); got != 204 {
		t.Error(got)
	}
	backend.members.Delete("ann")
	if n, err := nodes[2].Unsubscribe(ctx, "ann", topic); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	atOK, _, err := nodes[2].Topic(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		line := &protocol.Publish{Topic: topic, ID: fmt.Sprint("line", i), Data: protocol.Data(`1`)}
		if _, err := nodes[2].Publish(ctx, "shop", "", line); err != nil {
			t.Fatal(err)
		}
	}
	free()

	told := await[*protocol.Unsubscribed](socket)
	if told.Code != protocol.Forbidden || told.Retry != protocol.Never || told.Message == "" {
		t.Errorf("%+v", told)
	}
	if told := until[*protocol.Unsubscribed](stream); told.Code != protocol.Forbidden || told.Retry != protocol.Never {
		t.Errorf("%+v", told)
	}
	for _, w := range witnesses { // the lines have come to every node
		w.saw("line99")
	}
	all := attempts(topic, kept)
	refused := make(map[protocol.Ref]bool)
	note := func(where string) func(protocol.Frame) {
		return func(f protocol.Frame) {
			kickedOut(t, where, atOK, f)
			switch f := f.(type) {
			case *protocol.Error:
				refused[f.Ref] = true
			case *protocol.Published:
				refused[f.Ref] = true
			}
		}
	}
	socket.send(all...)
	for !refused[110] || !refused[50] {
		note("WebSocket")(socket.next())
	}
	socket.settle(note("WebSocket"))
	for _, c := range all {
		if ref := c.Answers(); !refused[ref] {
			t.Errorf("WebSocket: %T was not refused", c)
		}
	}
	clear(refused)
	stream.do(2, append(all, &protocol.Ping{Ref: 9999})...)
	for !refused[110] {
		note("stream")(stream.next())
	}
	for _, c := range all {
		if ref := c.Answers(); !refused[ref] {
			t.Errorf("stream: %T was not refused", c)
		}
	}
	again := dial(t, ctx, nodes[2], protocol.JSON)
	again.send(hello("ann"), &protocol.Subscribe{Ref: 2, Topic: topic, Attempt: 1, Pos: kept, Last: 50})
	if got := again.failure(); got.Code != protocol.Forbidden || got.Retry != protocol.Never {
		t.Errorf("%+v", got)
	}

	// Nothing of ann was stored after the answer.
	page, err := nodes[2].History(ctx, &protocol.History{Topic: topic, After: &atOK, Limit: 200})
	if err != nil || len(page.Messages) != 100 {
		t.Fatalf("%d lines, %v", len(page.Messages), err)
	}
	for _, m := range page.Messages {
		if m.User != "shop" {
			t.Errorf("%+v", m)
		}
	}
}

// X36: publishes that go to the store while their user is kicked out are stored before the
// call returns, or never. What is on its way is waited for.
func TestKickWaitsForWhatIsBeingStored(t *testing.T) {
	first, second, ctx := two(t, func(c *config.Config) {
		c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	})
	for round := range 10 {
		topic := fmt.Sprint("room", round)
		ann := connect(t, ctx, first, protocol.JSON, "ann")
		ann.subscribe(protocol.Subscribe{Topic: topic, Attempt: 1})
		for known := 0; known == 0; {
			list, _ := second.User(ctx, "ann")
			known = len(list)
		}
		const lines = 60
		var all []protocol.Command
		for i := range lines {
			all = append(all, &protocol.Publish{Ref: protocol.Ref(10 + i), Topic: topic, ID: fmt.Sprint(i), Data: protocol.Data(`1`)})
		}
		ann.send(all...)
		var stored []*protocol.Published
		answers := 0
		read := func(f protocol.Frame) {
			switch f := f.(type) {
			case *protocol.Published:
				stored = append(stored, f)
				answers++
			case *protocol.Error:
				answers++
			}
		}
		for answers < 1+2*round { // at another moment in each round
			read(ann.next())
		}
		if n, err := second.Unsubscribe(ctx, "ann", topic); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		end, _, err := second.Topic(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		for answers < lines {
			read(ann.next())
		}
		for _, p := range stored {
			if p.Pos.Offset > end.Offset {
				t.Errorf("round %d: %s was stored at %d, after the call had returned with the end at %d", round, p.ID, p.Pos.Offset, end.Offset)
			}
		}
		ann.ws.CloseNow()
	}
}

// refusal is the next error. It fails when an answer comes that is none.
func refusal[F protocol.Frame](c *client) *protocol.Error {
	c.t.Helper()
	for {
		switch f := c.next().(type) {
		case *protocol.Error:
			return f
		case F:
			c.t.Fatalf("it was let in: %+v", f)
		}
	}
}

// X36: an answer of the backend to a question from before does not count, not even for a
// subscribe that came later and shares the question.
func TestKickBeatsAnAnswerFromBefore(t *testing.T) {
	var member, asks atomic.Int64
	member.Store(1)
	held, release := make(chan struct{}, 10), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	decide := func(q asked) string {
		in := member.Load() == 1
		if q.Hook == "connect" {
			return `{"allow":true,"user":"ann"}`
		}
		if asks.Add(1) == 1 {
			held <- struct{}{}
			<-release
		}
		return fmt.Sprintf(`{"allow":%v,"rights":["subscribe"]}`, in)
	}
	s, ctx := start(t, withBackend(t, decide, "connect", "subscribe"))
	t.Cleanup(free)
	enter := func() *client {
		c := dial(t, ctx, s, protocol.JSON)
		c.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann"})
		await[*protocol.Connected](c)
		return c
	}
	ann := enter()
	ann.send(&protocol.Subscribe{Ref: 2, Topic: "private:x", Attempt: 1})
	<-held
	member.Store(0)
	if _, err := s.Unsubscribe(ctx, "ann", "private:x"); err != nil {
		t.Fatal(err)
	}
	if got := ann.failure(); got.Ref != 2 || got.Code != protocol.Forbidden {
		t.Errorf("%+v", got)
	}
	ann.send(&protocol.Subscribe{Ref: 3, Topic: "private:x", Attempt: 2}, &protocol.Ping{Ref: 4})
	await[*protocol.Pong](ann) // it is asking
	free()
	if got := refusal[*protocol.Subscribed](ann); got.Ref != 3 || got.Code != protocol.Forbidden {
		t.Errorf("%+v", got)
	}
}
