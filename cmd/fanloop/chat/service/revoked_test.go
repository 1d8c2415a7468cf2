package service_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// X37: a user, a session and a token are revoked on the first node, with a WebSocket on the
// second and a stream on the third. Both end with a code that stops retries, what comes with
// the same token is refused on each node, and who is not concerned stays.
func TestRevokedOnThreeNodes(t *testing.T) {
	nodes, ctx := three(t, withAccounts)
	for i, r := range []revoke.Revocation{
		{Kind: revoke.User, Name: "ann0"}, {Kind: revoke.Session, Name: "sid1"}, {Kind: revoke.Token, Name: "jti2"},
	} {
		text := token(t, time.Hour, jwt.MapClaims{"sub": fmt.Sprint("ann", i), "sid": fmt.Sprint("sid", i), "jti": fmt.Sprint("jti", i)})
		other := enter(t, ctx, nodes[1], token(t, time.Hour, jwt.MapClaims{"sub": fmt.Sprint("bob", i), "sid": "other", "jti": fmt.Sprint("other", i)}))
		socket := enter(t, ctx, nodes[1], text)
		stream := openStream(t, ctx, nodes[2], &protocol.Connect{Ref: 1, Version: 1, Token: text})
		until[*protocol.Connected](stream)
		socket.send(&protocol.Refresh{Ref: 5, Token: text}) // may be under way
		if err := nodes[0].Revoke(ctx, r); err != nil {
			t.Fatal(err)
		}
		for {
			if f, is := socket.next().(*protocol.Closing); is {
				if f.Code != protocol.Revoked || f.Retry != protocol.Never {
					t.Errorf("%v: %+v", r.Kind, f)
				}
				break
			}
		}
		if got := until[*protocol.Closing](stream); got.Code != protocol.Revoked || got.Retry != protocol.Never {
			t.Errorf("%v: %+v", r.Kind, got)
		}
		for _, node := range nodes {
			again := dial(t, ctx, node, protocol.JSON)
			again.send(&protocol.Connect{Ref: 1, Version: 1, Token: text})
			if got := again.failure(); got.Code != protocol.Revoked || got.Retry != protocol.Never {
				t.Errorf("%v: %+v", r.Kind, got)
			}
		}
		other.send(&protocol.Ping{Ref: 6})
		await[*protocol.Pong](other)
	}
}

// X37: a handshake, and a refresh, about which the backend was asked before the user was
// revoked, and that it allows afterwards, end with the revocation.
func TestRevokedWhileTheBackendIsAsked(t *testing.T) {
	held, release := make(chan struct{}, 10), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	decide := func(q asked) string {
		if q.Token == "held" {
			held <- struct{}{}
			<-release
		}
		return `{"allow":true,"user":"ann"}`
	}
	first, second, ctx := two(t, func(c *config.Config) { withBackend(t, decide, "connect", "refresh")(c) })
	t.Cleanup(free)
	refreshing := dial(t, ctx, second, protocol.JSON)
	refreshing.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann"})
	await[*protocol.Connected](refreshing)
	refreshing.send(&protocol.Refresh{Ref: 2, Token: "held"})
	<-held
	coming := dial(t, ctx, second, protocol.JSON)
	coming.send(&protocol.Connect{Ref: 1, Version: 1, Token: "held"})
	<-held
	// A revocation counts in whole seconds. The backend answers in a later one.
	if err := first.Revoke(ctx, revoke.Revocation{Kind: revoke.User, Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	refreshing.closes(protocol.Revoked)
	for revoked := time.Now().Unix(); time.Now().Unix() <= revoked; {
		time.Sleep(10 * time.Millisecond)
	}
	free()
	if got := refusal[*protocol.Connected](coming); got.Code != protocol.Revoked || got.Retry != protocol.Never {
		t.Errorf("%+v", got)
	}
	later := dial(t, ctx, second, protocol.JSON) // the backend lets the user in again
	later.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann"})
	await[*protocol.Connected](later)
}

// topicToken is a token of a user for a topic, with the rights of a member.
func topicToken(t *testing.T, user, topic string, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"sub": user, "topic": topic, "rights": []string{"subscribe", "publish", "history"}}
	maps.Copy(all, claims)
	return token(t, time.Hour, all)
}

// withMembers is a node whose topics of the namespace "private" are for those alone to whom
// they are granted, in all that they do.
func withMembers(c *config.Config) {
	withAccounts(c)
	private := c.Namespaces["private"]
	private.Who[rules.Publish], private.Who[rules.History] = rules.Granted, rules.Granted
}

// X37: a topic token that is revoked on the first node ends what it opened, on a WebSocket of
// the second and a stream of the third: also one that a refresh brought. Its user gets,
// publishes and reads nothing there any more, and goes on elsewhere. The token of another
// user, and an earlier one that was replaced, end nothing.
func TestARevokedTopicTokenEndsItsSubscription(t *testing.T) {
	nodes, ctx := three(t, withMembers)
	const topic = "private:board"
	ann := token(t, time.Hour, jwt.MapClaims{"sub": "ann"})
	first, second := topicToken(t, "ann", topic, jwt.MapClaims{"jti": "first"}), topicToken(t, "ann", topic, jwt.MapClaims{"jti": "second"})
	bob := enter(t, ctx, nodes[1], token(t, time.Hour, jwt.MapClaims{"sub": "bob"}))
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	bob.subscribe(protocol.Subscribe{Topic: topic, Attempt: 2, Token: topicToken(t, "bob", topic, jwt.MapClaims{"jti": "bob"})})
	socket := enter(t, ctx, nodes[1], ann)
	socket.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	socket.subscribe(protocol.Subscribe{Topic: topic, Attempt: 2, Token: first})
	socket.send(&protocol.Refresh{Ref: 5, Topic: topic, Attempt: 2, Token: second})
	await[*protocol.Refreshed](socket)
	stream := openStream(t, ctx, nodes[2], &protocol.Connect{Ref: 1, Version: 1, Token: ann},
		&protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1}, &protocol.Subscribe{Ref: 3, Topic: topic, Attempt: 2, Token: second})
	until[*protocol.Subscribed](stream)
	until[*protocol.Subscribed](stream)

	revoked := func(jti string) {
		t.Helper()
		if err := nodes[0].Revoke(ctx, revoke.Revocation{Kind: revoke.Token, Name: jti}); err != nil {
			t.Fatal(err)
		}
		bob.publish(topic, "after-"+jti)
	}
	revoked("first")
	if a, b := socket.message(), stream.message(); a.ID != "after-first" || b.ID != "after-first" {
		t.Errorf("%+v, %+v", a, b)
	}
	revoked("second")
	bob.saw("after-second")
	bob.publish("lobby", "to-all")
	for name, read := range map[string]func() protocol.Frame{"socket": socket.next, "stream": stream.next} {
		got, is := read().(*protocol.Unsubscribed)
		if !is || got.Topic != topic || got.Attempt != 2 || got.Code != protocol.Revoked || got.Retry != protocol.Never {
			t.Fatalf("%s: %+v", name, got)
		}
	}
	if a, b := socket.message(), stream.message(); a.ID != "to-all" || b.ID != "to-all" {
		t.Errorf("%+v, %+v", a, b)
	}
	for _, c := range []struct {
		command protocol.Command
		code    protocol.Code
	}{
		{&protocol.Publish{Ref: 6, Topic: topic, ID: "late", Data: protocol.Data(`1`)}, protocol.Forbidden},
		{&protocol.History{Ref: 7, Topic: topic, Limit: 1}, protocol.Forbidden},
		{&protocol.Refresh{Ref: 8, Topic: topic, Attempt: 2, Token: first}, protocol.NotSubscribed},
		{&protocol.Subscribe{Ref: 9, Topic: topic, Attempt: 3, Token: second}, protocol.Revoked},
	} {
		socket.send(c.command)
		if got := socket.failure(); got.Code != c.code || got.Ref != c.command.Answers() {
			t.Errorf("%T: %+v", c.command, got)
		}
	}
	back := enter(t, ctx, nodes[2], ann)
	back.send(&protocol.Subscribe{Ref: 2, Topic: topic, Attempt: 1, Token: second})
	if got := back.failure(); got.Code != protocol.Revoked {
		t.Errorf("%+v", got)
	}
}

// A topic token is registered for a revocation as long as its subscription is there.
func TestTopicTokensAreRegisteredWhileTheyAreUsed(t *testing.T) {
	s, ctx := start(t, withAccounts)
	registered := func(want int) {
		t.Helper()
		if n := s.Stats().Revoked.Registrations; n != want {
			t.Errorf("%d are registered, want %d", n, want)
		}
	}
	a, b := topicToken(t, "ann", "private:a", nil), topicToken(t, "ann", "private:b", nil)
	ann := enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "ann"}))
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	registered(1) // the connection
	ann.subscribe(protocol.Subscribe{Topic: "private:a", Attempt: 2, Token: a})
	ann.subscribe(protocol.Subscribe{Topic: "private:b", Attempt: 3, Token: b})
	registered(3)
	ann.send(&protocol.Refresh{Ref: 5, Topic: "private:a", Attempt: 2, Token: a})
	await[*protocol.Refreshed](ann)
	registered(3)
	ann.send(&protocol.Unsubscribe{Ref: 6, Topic: "private:a", Attempt: 2})
	await[*protocol.Unsubscribed](ann)
	registered(2)
	ann.ws.CloseNow()
	for s.Stats().Revoked.Registrations > 0 {
		if ctx.Err() != nil {
			t.Fatal("the end of a connection leaves its tokens registered")
		}
		time.Sleep(time.Millisecond)
	}
}

// X37: a revocation, of a topic token and of a user, returns behind the answer of the store to
// a message that was let through before.
func TestNothingIsStoredBehindARevocation(t *testing.T) {
	const topic = "private:board"
	for _, r := range []revoke.Revocation{{Kind: revoke.Token, Name: "t1"}, {Kind: revoke.User, Name: "ann"}} {
		s, ctx := start(t, withMembers)
		ann := enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "ann"}))
		ann.subscribe(protocol.Subscribe{Topic: topic, Attempt: 1, Token: topicToken(t, "ann", topic, jwt.MapClaims{"jti": "t1"})})
		held := service.Hold(s)
		ann.send(&protocol.Publish{Topic: topic, ID: "under-way", Data: protocol.Data(`1`)})
		store := <-held
		returned := make(chan error, 1)
		go func() { returned <- s.Revoke(ctx, r) }()
		if r.Kind == revoke.User {
			await[*protocol.Closing](ann)
		} else {
			await[*protocol.Unsubscribed](ann)
		}
		select {
		case err := <-returned:
			t.Errorf("%v: it returned before the store had answered: %v", r.Kind, err)
			store()
			continue
		case <-time.After(50 * time.Millisecond): // time to be wrong
		}
		store()
		if err := <-returned; err != nil {
			t.Errorf("%v: %v", r.Kind, err)
		}
	}
}
