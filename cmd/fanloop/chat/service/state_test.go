package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// fill sets large cursors in a topic.
func fill(c *client, topic, prefix string, keys int) {
	c.t.Helper()
	c.subscribe(protocol.Subscribe{Topic: topic, Attempt: 1})
	large := protocol.Data(`"` + strings.Repeat("z", 4000) + `"`)
	for i := range keys {
		c.send(&protocol.Set{Ref: protocol.Ref(1 + i), Topic: topic, Kind: "cursor", Key: fmt.Sprint(prefix, i), Data: large})
		await[*protocol.OK](c)
	}
}

// plainly has topics without history, where a subscribe is answered in the turn in which it
// comes.
func plainly(c *config.Config) {
	space := c.Namespaces[config.DefaultNamespace]
	space.HistorySize, space.HistoryAge = 0, 0
	c.Namespaces[config.DefaultNamespace] = space
}

// What others have set takes no more than a budget of the answer to a subscribe, and no kind
// is in it twice.
func TestStateOfAKindIsBounded(t *testing.T) {
	const budget = 64 << 10
	s, ctx := start(t, nil)
	for i := range 3 {
		c := connect(t, ctx, s, protocol.JSON, fmt.Sprint("user ", i))
		fill(c, "lobby", fmt.Sprint(i, "/"), 10)
	}
	c := connect(t, ctx, s, protocol.CBOR, "ann")
	got := c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Kinds: []string{"cursor", "typing", "cursor"}})
	if len(got.Kinds) != 2 || got.Kinds[0].Kind != "cursor" || got.Kinds[1].Kind != "typing" {
		t.Fatalf("%d kinds", len(got.Kinds))
	}
	bytes := 0
	for _, v := range got.Kinds[0].Values {
		bytes += len(v.Key) + len(v.Data)
	}
	if bytes > budget || bytes < budget/2 || !got.Kinds[0].More {
		t.Errorf("%d values with %d bytes, more: %v; want %d bytes at most", len(got.Kinds[0].Values), bytes, got.Kinds[0].More, budget)
	}
}

// A user has so many keys in a topic, and takes another one when one of them is deleted.
func TestKeysOfAUserAreBounded(t *testing.T) {
	const most = 16
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	fill(ann, "lobby", "", most)
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	one := func(c *client, key string) {
		t.Helper()
		c.send(&protocol.Set{Ref: 9, Topic: "lobby", Kind: "cursor", Key: key, Data: protocol.Data("1")})
	}
	one(ann, "one more")
	if got := ann.failure(); got.Code != protocol.Overloaded || got.Retry != protocol.Later || got.Message == "" {
		t.Errorf("%+v", got)
	}
	one(bob, "one more")
	await[*protocol.OK](bob)
	ann.send(&protocol.Set{Ref: 8, Topic: "lobby", Kind: "cursor", Key: "0"})
	await[*protocol.OK](ann)
	one(ann, "another")
	await[*protocol.OK](ann)
}

// A subscribe in place of another one counts for the rate of the user, also in the message
// of connect; one for each topic does not.
func TestSubscribesAgainCount(t *testing.T) {
	const burst, topics = 5, 64
	for name, change := range map[string]func(*config.Config){"with history": func(*config.Config) {}, "without": plainly} {
		s, ctx := start(t, func(c *config.Config) {
			c.Limits.User.Commands, c.Limits.Topics = once(burst), topics
			change(c)
		})
		refused := func(c *client, commands []protocol.Command) (n int) {
			t.Helper()
			c.send(append(commands, &protocol.Unsubscribe{Ref: 7, Topic: "none", Attempt: 1})...)
			for {
				switch f := c.next().(type) {
				case *protocol.Unsubscribed:
					if f.Ref == 7 {
						return n
					}
				case *protocol.Error:
					if f.Code == protocol.RateLimited {
						n++
					}
					if f.Ref == 7 {
						return n
					}
				}
			}
		}
		subscribes := func(n int, topic func(int) string) (all []protocol.Command) {
			for i := range n {
				all = append(all, &protocol.Subscribe{Ref: protocol.Ref(100 + i), Topic: topic(i), Attempt: uint32(1 + i)})
			}
			return all
		}
		same := func(int) string { return "lobby" }
		each := func(i int) string { return fmt.Sprint("room ", i) }
		const n = 2 * burst
		if got := refused(connect(t, ctx, s, protocol.JSON, "ann"), subscribes(n, each)); got != 0 {
			t.Errorf("%s: %d of %d topics are refused", name, got, n)
		}
		if got := refused(connect(t, ctx, s, protocol.JSON, "ben"), subscribes(n, same)); got < n-1-burst {
			t.Errorf("%s: %d of %d of one topic are refused", name, got, n)
		}
		hello := []protocol.Command{&protocol.Connect{Ref: 1, Version: 1, User: "cid"}}
		if got := refused(dial(t, ctx, s, protocol.JSON), append(hello, subscribes(n, same)...)); got < n-1-burst {
			t.Errorf("%s: %d of %d of one topic are refused, with connect", name, got, n)
		}
	}
}

// Answers to subscribes that are large count for the rate of the user by their size, behind
// those with which a user comes back.
func TestLargeAnswersCount(t *testing.T) {
	const page = 200 << 10
	s, ctx := start(t, func(c *config.Config) { c.Limits.User.Commands = once(60) })
	writer := connect(t, ctx, s, protocol.JSON, "writer")
	writer.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	large := protocol.Data(`"` + strings.Repeat("z", 10<<10) + `"`)
	for i := range page / (10 << 10) {
		writer.send(&protocol.Publish{Ref: 1, Topic: "lobby", ID: fmt.Sprint(i), Data: large})
		await[*protocol.Published](writer)
	}
	c := connect(t, ctx, s, protocol.JSON, "ann")
	answered := func() (limited bool) {
		for {
			switch f := c.next().(type) {
			case *protocol.Subscribed, *protocol.Unsubscribed:
				return false
			case *protocol.Error:
				if f.Code != protocol.RateLimited {
					t.Fatalf("%+v", f)
				}
				return true
			}
		}
	}
	for attempt := range uint32(25) {
		c.send(&protocol.Subscribe{Ref: 1, Topic: "lobby", Attempt: 1 + attempt, Last: 100})
		limited := answered()
		if !limited {
			c.send(&protocol.Unsubscribe{Ref: 2, Topic: "lobby", Attempt: 1 + attempt})
			limited = answered()
		}
		if limited {
			if attempt < 5 {
				t.Errorf("attempt %d is refused", attempt)
			}
			return
		}
	}
	t.Error("nothing was refused")
}
