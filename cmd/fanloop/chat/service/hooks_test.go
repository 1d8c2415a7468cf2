package service_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// asked is a question as a company's backend gets it.
type asked struct {
	Hook, Token, User, Session, Address, Topic, ID, Kind, Author string
	Target                                                       *struct{ Offset, ID string }
	Data                                                         json.RawMessage
}

// withBackend has the hooks of these names answered by decide.
func withBackend(t *testing.T, decide func(asked) string, names ...string) func(*config.Config) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q asked
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, decide(q))
	}))
	t.Cleanup(server.Close)
	return func(c *config.Config) {
		withAccounts(c)
		c.Accounts.Keys = nil
		hook := &config.Hook{URL: server.URL, Secrets: []config.Secret{config.NewSecret(secret)}, Timeout: time.Minute}
		for _, name := range names {
			switch name {
			case "connect":
				c.Hooks.Connect = hook
			case "refresh":
				c.Hooks.Refresh = hook
			case "subscribe":
				c.Hooks.Subscribe = hook
			case "publish":
				c.Hooks.Publish = hook
			}
		}
	}
}

// The backend says who connects, what he may do in a topic, and what is published.
func TestBackendDecides(t *testing.T) {
	decide := func(q asked) string {
		switch {
		case q.Address != "127.0.0.1":
			t.Errorf("%+v", q)
		case q.Hook == "connect" && q.Token == "good":
			return `{"allow":true,"user":"ann","name":"Ann","session":"s1"}`
		case q.Hook == "refresh" && q.Token == "better" && q.User == "ann" && q.Session == "s1":
			return fmt.Sprintf(`{"allow":true,"expires":%d}`, time.Now().Add(time.Hour).Unix())
		case q.Hook == "subscribe" && q.User == "ann" && q.Topic == "private:x":
			return `{"allow":true,"rights":["subscribe","publish","history"]}`
		case q.Hook == "publish" && q.ID == "1":
			return `{"allow":true,"data":{ "text": "replaced" }}`
		}
		return `{"allow":false,"reason":"because"}`
	}
	s, ctx := start(t, withBackend(t, decide, "connect", "refresh", "subscribe", "publish"))
	bad := dial(t, ctx, s, protocol.JSON)
	bad.send(&protocol.Connect{Ref: 1, Version: 1, Token: "bad", User: "ann"})
	if got := bad.failure(); got.Code != protocol.Unauthorized || got.Message != "because" {
		t.Errorf("%+v", got)
	}
	ann := dial(t, ctx, s, protocol.JSON)
	ann.send(&protocol.Connect{Ref: 1, Version: 1, Token: "good"})
	if got := await[*protocol.Connected](ann); got.User != "ann" || got.Name != "Ann" || got.TTL != 0 || got.Development {
		t.Errorf("%+v", got)
	}
	ann.send(&protocol.Subscribe{Ref: 2, Topic: "private:y", Attempt: 1})
	if got := ann.failure(); got.Code != protocol.Forbidden || got.Message != "because" {
		t.Errorf("%+v", got)
	}
	ann.subscribe(protocol.Subscribe{Topic: "private:x", Attempt: 2})
	ann.publish("private:x", "1")
	for ann.last != "1" {
		if m, is := ann.next().(*protocol.Message); is && string(m.Data) != `{"text":"replaced"}` {
			t.Errorf("%s", m.Data)
		}
	}
	ann.send(&protocol.Publish{Ref: 3, Topic: "private:x", ID: "2", Data: protocol.Data(`1`)})
	if got := ann.failure(); got.Code != protocol.Forbidden || got.ID != "2" {
		t.Errorf("%+v", got)
	}
	ann.send(&protocol.Refresh{Ref: 4, Token: "better"})
	if got := await[*protocol.Refreshed](ann); got.TTL == 0 {
		t.Errorf("%+v", got)
	}
}

// The backend decides who may change what: it hears which message an edit, a deletion or a
// reaction is about, and who wrote that.
func TestBackendHearsWhatIsChanged(t *testing.T) {
	decide := func(q asked) string {
		switch {
		case q.Hook == "connect":
			return fmt.Sprintf(`{"allow":true,"user":%q,"namespaces":{"":["moderate"]}}`, q.Token)
		case q.Kind == "" && q.Target == nil && q.Author == "":
			return `{"allow":true}`
		case q.Kind == "react" && q.Target.ID == "1" && q.Author == "bob", q.User == q.Author:
			return `{"allow":true}`
		}
		return fmt.Sprintf(`{"allow":false,"reason":"%s by %s, of %s at %s by %s"}`, q.Kind, q.User, q.Target.ID, q.Target.Offset, q.Author)
	}
	s, ctx := start(t, withBackend(t, decide, "connect", "publish"))
	bob, ann := enter(t, ctx, s, "bob"), enter(t, ctx, s, "ann")
	for _, c := range []*client{ann, bob} {
		c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	}
	bob.send(&protocol.Publish{Ref: 2, Topic: "lobby", ID: "1", Data: protocol.Data(`1`)})
	pos := await[*protocol.Published](bob).Pos
	about := func(kind, data string) *protocol.Publish {
		c := &protocol.Publish{Ref: 5, Topic: "lobby", ID: kind, Kind: kind, Target: &protocol.Target{Offset: pos.Offset, ID: "1"}}
		if data != "" {
			c.Data = protocol.Data(data)
		}
		return c
	}
	ann.send(about(protocol.KindReact, `"👍"`))
	await[*protocol.Published](ann)
	for kind, data := range map[string]string{protocol.KindEdit: `"mine"`, protocol.KindDelete: "", protocol.KindUnreact: `"👍"`} {
		ann.send(about(kind, data))
		if got, want := ann.failure(), fmt.Sprintf("%s by ann, of 1 at %d by bob", kind, pos.Offset); got.Code != protocol.Forbidden || got.Message != want {
			t.Errorf("%s: %+v, want %s", kind, got, want)
		}
	}
	bob.send(about(protocol.KindEdit, `"better"`))
	await[*protocol.Published](bob)
}

// X38: a backend that hangs on one question holds up nobody else, on whatever loop; its
// answer counts when it comes.
func TestHookThatHangsHoldsUpNobodyElse(t *testing.T) {
	const hanging = 20
	release, reached := make(chan struct{}), make(chan struct{}, hanging)
	free := sync.OnceFunc(func() { close(release) })
	decide := func(q asked) string {
		if q.Topic == "slow" {
			reached <- struct{}{}
			<-release
		}
		return `{"allow":true}`
	}
	s, ctx := start(t, func(c *config.Config) {
		withBackend(t, decide, "publish")(c)
		c.Accounts.Keys = []config.Key{{Algorithm: "HS256", Secret: config.NewSecret(secret)}}
		c.Namespaces["default"].Who[rules.Publish] = rules.Users
	})
	t.Cleanup(free) // before the backend's server ends, which waits for it
	var slow []*client
	for i := range hanging {
		c := enter(t, ctx, s, token(t, time.Hour, map[string]any{"sub": fmt.Sprint("slow", i)}))
		c.send(&protocol.Publish{Ref: 5, Topic: "slow", ID: "x", Data: protocol.Data(`1`)})
		slow = append(slow, c)
	}
	for range hanging {
		<-reached
	}
	for i := range 4 { // they are on all loops
		bob := enter(t, ctx, s, token(t, time.Hour, map[string]any{"sub": fmt.Sprint("bob", i)}))
		bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
		bob.publish("lobby", fmt.Sprint(i))
		bob.saw(fmt.Sprint(i))
		history(bob, protocol.History{Topic: "lobby"})
	}
	free()
	for _, c := range slow {
		await[*protocol.Published](c)
	}
}

// X38: without an answer nobody is let in, and the client hears when to try again; after
// a few failures the backend is not asked any more for a while.
func TestBackendWithoutAnswer(t *testing.T) {
	n := 0
	decide := func(asked) string { n++; return strings.Repeat("x", 1<<20) }
	s, ctx := start(t, func(c *config.Config) {
		withBackend(t, decide, "connect")(c)
		c.Hooks.Connect.Failures, c.Hooks.Connect.Open = 2, time.Hour
	})
	for range 5 {
		c := dial(t, ctx, s, protocol.JSON)
		c.send(&protocol.Connect{Ref: 1, Version: 1, Token: "any"})
		if got := c.failure(); got.Code != protocol.Unavailable || got.Retry != protocol.Later || got.Delay == 0 {
			t.Errorf("%+v", got)
		}
	}
	if n != 2 {
		t.Errorf("the backend was asked %d times", n)
	}
}

// A backend that gives a user a name which is refused locks out that user alone, with the
// reason.
func TestBackendNamesAUserThatCannotBe(t *testing.T) {
	decide := func(q asked) string {
		return fmt.Sprintf(`{"allow":true,"user":%q,"name":%q}`, q.Token, q.Token+"\u202e")
	}
	s, ctx := start(t, withBackend(t, decide, "connect"))
	for range 10 {
		c := dial(t, ctx, s, protocol.JSON)
		c.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann "})
		if got := c.failure(); got.Code != protocol.BadName || got.Retry != protocol.Never || got.Message != "the user begins or ends with white space" {
			t.Fatalf("%+v", got)
		}
	}
	ann := dial(t, ctx, s, protocol.JSON)
	ann.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann"})
	if got := await[*protocol.Connected](ann); got.Name != "ann" {
		t.Errorf("%+v", got)
	}
}
