package service_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
)

var secret = strings.Repeat("s", 32)

// withAccounts is a node whose topics of the namespace "private" need a grant.
func withAccounts(c *config.Config) {
	c.Accounts.Keys = []config.Key{{Algorithm: "HS256", Secret: config.NewSecret(secret)}}
	private := c.Namespaces[config.DefaultNamespace]
	private.Who = config.Who{}
	for right, who := range c.Namespaces[config.DefaultNamespace].Who {
		private.Who[right] = who
	}
	private.Who[rules.Subscribe] = rules.Granted
	c.Namespaces["private"] = private
}

// token signs claims that hold for some time from now on.
func token(t *testing.T, lasts time.Duration, claims jwt.MapClaims) string {
	t.Helper()
	now := time.Now()
	claims["iat"], claims["exp"] = now.Add(-time.Minute).Unix(), now.Add(lasts).Unix()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// enter connects with a token.
func enter(t *testing.T, ctx context.Context, s *service.Service, text string) *client {
	t.Helper()
	c := dial(t, ctx, s, protocol.JSON)
	c.send(&protocol.Connect{Ref: 1, Version: 1, Token: text})
	await[*protocol.Connected](c)
	return c
}

// closes waits for the last frame and the close code of a reason.
func (c *client) closes(code protocol.Code) {
	c.t.Helper()
	if got := await[*protocol.Closing](c); got.Code != code || got.Retry != code.Retry() {
		c.t.Errorf("%+v", got)
	}
	_, _, err := c.ws.Read(c.ctx)
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != engine.StatusCode(code.Close()) {
		c.t.Error(err)
	}
}

// Who has no good token is refused, with what to do next.
func TestTokensDecideWhoConnects(t *testing.T) {
	s, ctx := start(t, withAccounts)
	good := token(t, time.Hour, jwt.MapClaims{"sub": "ann", "name": "Ann"})
	for name, c := range map[string]struct {
		token string
		code  protocol.Code
	}{
		"none":        {"", protocol.Unauthorized},
		"forged":      {good[:len(good)-4] + "AAAA", protocol.Unauthorized},
		"expired":     {token(t, -45*time.Second, jwt.MapClaims{"sub": "ann"}), protocol.TokenExpired},
		"topic token": {token(t, time.Hour, jwt.MapClaims{"sub": "ann", "topic": "private:x", "rights": []string{"subscribe"}}), protocol.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, ctx, s, protocol.JSON)
			client.send(&protocol.Connect{Ref: 1, Version: 1, User: "root", Token: c.token})
			if got := client.failure(); got.Code != c.code || got.Ref != 1 {
				t.Errorf("%+v", got)
			}
			client.closes(c.code)
		})
	}
	client := dial(t, ctx, s, protocol.JSON)
	client.send(&protocol.Connect{Ref: 1, Version: 1, User: "root", Token: good})
	got := await[*protocol.Connected](client)
	if got.User != "ann" || got.Name != "Ann" || got.TTL == 0 || got.Development {
		t.Errorf("%+v", got)
	}
}

// A client gets the topics that its token names, and how long it is until the token expires:
// without the leeway of clocks.
func TestConnectedSaysWhatTheTokenSays(t *testing.T) {
	s, ctx := start(t, withAccounts)
	text := token(t, time.Hour, jwt.MapClaims{"sub": "ann", "topics": map[string][]string{"room:b": {"moderate"}, "private:a": {"subscribe"}}})
	for _, encoding := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		client := dial(t, ctx, s, encoding)
		client.send(&protocol.Connect{Ref: 1, Version: 1, Token: text})
		got := await[*protocol.Connected](client)
		if !slices.Equal(got.Topics, []string{"private:a", "room:b"}) || got.TTL > time.Hour.Milliseconds() {
			t.Errorf("%+v", got)
		}
	}
	if got := await[*protocol.Connected](connecting(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "ann"}))); got.Topics != nil {
		t.Errorf("%+v", got)
	}
}

// connecting is a client that has sent its token.
func connecting(t *testing.T, ctx context.Context, s *service.Service, text string) *client {
	t.Helper()
	c := dial(t, ctx, s, protocol.JSON)
	c.send(&protocol.Connect{Ref: 1, Version: 1, Token: text})
	return c
}

// A topic that needs a grant is opened by a topic token, and not by that of another
// user or topic.
func TestTopicTokens(t *testing.T) {
	s, ctx := start(t, withAccounts)
	ann := enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "ann"}))
	rights := []string{"subscribe", "history"}
	of := func(user, topic string) string {
		return token(t, time.Hour, jwt.MapClaims{"sub": user, "topic": topic, "rights": rights})
	}
	for i, c := range []struct {
		token string
		code  protocol.Code
	}{
		{"", protocol.TokenRequired}, {of("bob", "private:x"), protocol.Unauthorized}, {of("ann", "private:y"), protocol.Unauthorized},
	} {
		ann.send(&protocol.Subscribe{Ref: 5, Topic: "private:x", Attempt: uint32(i + 1), Token: c.token})
		if got := ann.failure(); got.Code != c.code {
			t.Errorf("%+v", got)
		}
	}
	if got := ann.subscribe(protocol.Subscribe{Topic: "private:x", Attempt: 9, Token: of("ann", "private:x")}); got.TTL == 0 {
		t.Errorf("%+v", got)
	}
	granted := enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "cy", "namespaces": map[string]any{"private": rights}}))
	granted.subscribe(protocol.Subscribe{Topic: "private:x", Attempt: 1})
}

// A connection ends with its token.
func TestConnectionEndsWithItsToken(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		withAccounts(c)
		c.Accounts.Leeway = time.Second
	})
	for { // a slow machine is too late with a token as short as this
		ann := dial(t, ctx, s, protocol.JSON)
		ann.send(&protocol.Connect{Ref: 1, Version: 1, Token: token(t, time.Second, jwt.MapClaims{"sub": "ann"})})
		if _, entered := ann.next().(*protocol.Connected); entered {
			ann.closes(protocol.TokenExpired)
			return
		}
	}
}

// A refresh takes the place of the token, unless it is another user's.
func TestRefresh(t *testing.T) {
	s, ctx := start(t, withAccounts)
	ann := enter(t, ctx, s, token(t, time.Minute, jwt.MapClaims{"sub": "ann"}))
	ann.send(&protocol.Refresh{Ref: 2, Token: token(t, time.Hour, jwt.MapClaims{"sub": "ann"})})
	if got := await[*protocol.Refreshed](ann); got.TTL <= 2*time.Minute.Milliseconds() {
		t.Errorf("%+v", got)
	}
	ann.send(&protocol.Refresh{Ref: 3, Token: token(t, time.Hour, jwt.MapClaims{"sub": "bob"})})
	if got := ann.failure(); got.Code != protocol.Unauthorized || got.Ref != 3 {
		t.Errorf("%+v", got)
	}
}

// A token of another user is refused at refresh, by keys as by a hook. The connection goes
// on, and stays that of its user for revocations too.
func TestRefreshOfAnotherUserChangesNothing(t *testing.T) {
	decide := func(q asked) string { return fmt.Sprintf(`{"allow":true,"user":%q}`, q.Token) }
	for name, c := range map[string]struct {
		settings func(*config.Config)
		token    func(user string) string
	}{
		"keys": {withAccounts, func(user string) string { return token(t, time.Hour, jwt.MapClaims{"sub": user}) }},
		"hook": {withBackend(t, decide, "connect"), func(user string) string { return user }},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := start(t, c.settings)
			ann := enter(t, ctx, s, c.token("ann"))
			ann.send(&protocol.Refresh{Ref: 2, Token: c.token("bob")})
			if got := ann.failure(); got.Code != protocol.Unauthorized || got.Ref != 2 {
				t.Errorf("%+v", got)
			}
			for i, user := range []string{"bob", "ann"} {
				ann.send(&protocol.Ping{Ref: protocol.Ref(3 + i)})
				await[*protocol.Pong](ann)
				if err := s.Revoke(ctx, revoke.Revocation{Kind: revoke.User, Name: user}); err != nil {
					t.Fatal(err)
				}
			}
			ann.closes(protocol.Revoked)
		})
	}
}

// A revocation closes the connections of a user and lets no other in, while others
// stay.
func TestRevocationCloses(t *testing.T) {
	s, ctx := start(t, withAccounts)
	ann := token(t, time.Hour, jwt.MapClaims{"sub": "ann"})
	first, second := enter(t, ctx, s, ann), enter(t, ctx, s, ann)
	bob := enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "bob"}))
	if err := s.Revoke(ctx, revoke.Revocation{Kind: revoke.User, Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	first.closes(protocol.Revoked)
	second.closes(protocol.Revoked)
	again := dial(t, ctx, s, protocol.JSON)
	again.send(&protocol.Connect{Ref: 1, Version: 1, Token: ann})
	if got := again.failure(); got.Code != protocol.Revoked {
		t.Errorf("%+v", got)
	}
	again.closes(protocol.Revoked)
	bob.send(&protocol.Ping{Ref: 3})
	await[*protocol.Pong](bob)
}

// A user has so many connections, and who is over the rate is told when to go on.
func TestLimitsOfAUser(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		c.Limits.User.Connections = 1
		c.Limits.User.Commands = config.Rate{PerSecond: 0.001, Burst: 2}
	})
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	for range 2 {
		ann.send(&protocol.Ping{Ref: 2})
		await[*protocol.Pong](ann)
	}
	ann.send(&protocol.Ping{Ref: 3})
	if got := ann.failure(); got.Code != protocol.RateLimited || got.Ref != 3 || got.Delay == 0 {
		t.Errorf("%+v", got)
	}
	second := dial(t, ctx, s, protocol.JSON)
	second.send(&protocol.Connect{Ref: 1, Version: 1, User: "ann"})
	if got := second.failure(); got.Code != protocol.RateLimited || got.Delay < 1000 {
		t.Errorf("where another connection has to end first: %+v", got)
	}
	connect(t, ctx, s, protocol.JSON, "bob")
}

// Each connection of a user may subscribe to all its topics, one frame each, whatever the
// rate is. Further subscribes count, and those of a topic that the connection has.
func TestSubscribesOfAConnectCountApart(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) { c.Limits.User.Commands = config.Rate{PerSecond: 0.001, Burst: 2} })
	for range 2 {
		ann := connect(t, ctx, s, protocol.JSON, "ann")
		for n := range s.Limits().Topics {
			ann.send(&protocol.Subscribe{Ref: 2, Topic: fmt.Sprint("room", n), Attempt: uint32(n + 1)})
		}
		for range s.Limits().Topics {
			await[*protocol.Subscribed](ann)
		}
		ann.ws.CloseNow()
	}
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	for n := range s.Limits().Topics + 2 {
		ann.subscribe(protocol.Subscribe{Topic: fmt.Sprint("room", n%s.Limits().Topics), Attempt: uint32(n + 1)})
	}
	ann.send(&protocol.Subscribe{Ref: 9, Topic: "room0", Attempt: 9999})
	if got := ann.failure(); got.Code != protocol.RateLimited || got.Ref != 9 {
		t.Errorf("%+v", got)
	}
}

// Without accounts a node serves this machine only.
func TestDevelopmentModeIsForLoopback(t *testing.T) {
	c := config.Default()
	c.Listen = "0.0.0.0:0"
	if s, err := service.Start(t.Context(), c, nil); err == nil {
		_ = s.Shutdown(t.Context())
		t.Error("it serves every interface")
	}
}

// A token that is not valid yet says so, and when to come back; a clock may be a little off.
func TestTokenThatIsNotValidYet(t *testing.T) {
	s, ctx := start(t, withAccounts)
	for name, at := range map[string]time.Duration{"nbf": 40 * time.Second, "far": 30 * time.Hour} {
		c := dial(t, ctx, s, protocol.JSON)
		c.send(&protocol.Connect{Ref: 1, Version: 1, Token: token(t, time.Hour, jwt.MapClaims{"sub": "ann", "nbf": time.Now().Add(at).Unix()})})
		got := c.failure()
		if got.Code != protocol.TokenNotYetValid || got.Retry != protocol.Later || got.Delay <= 0 || got.Delay > 62_000 {
			t.Errorf("%s: %+v", name, got)
		}
		if name == "far" && got.Delay < 60_000 {
			t.Errorf("%+v", got)
		}
		c.closes(protocol.TokenNotYetValid)
	}
	ann := enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "ann", "nbf": time.Now().Add(20 * time.Second).Unix()}))
	ann.send(&protocol.Subscribe{Ref: 2, Topic: "private:x", Attempt: 1, Token: token(t, time.Hour, jwt.MapClaims{
		"sub": "ann", "topic": "private:x", "rights": []string{"subscribe"}, "nbf": time.Now().Add(time.Hour).Unix(),
	})})
	if got := ann.failure(); got.Code != protocol.TokenNotYetValid || got.Attempt != 1 || got.Retry != protocol.Later {
		t.Errorf("%+v", got)
	}
	ann.send(&protocol.Refresh{Ref: 3, Token: token(t, time.Hour, jwt.MapClaims{"sub": "ann", "nbf": time.Now().Add(time.Hour).Unix()})})
	if got := ann.failure(); got.Code != protocol.TokenNotYetValid {
		t.Errorf("%+v", got)
	}
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 2}) // still connected
}

// X47: a name that is refused is one of the few things that a client learns of a token: it
// is the company's own. What people call a user locks nobody out.
func TestNamesThatComeFromTheCompany(t *testing.T) {
	s, ctx := start(t, withAccounts)
	for user, says := range map[string]string{"a\u202eb": "the user has an invisible format character", "\u3164": "the user has a filler that nobody sees", " ann": "the user begins or ends with white space"} {
		c := dial(t, ctx, s, protocol.JSON)
		c.send(&protocol.Connect{Ref: 1, Version: 1, Token: token(t, time.Hour, jwt.MapClaims{"sub": user})})
		if got := c.failure(); got.Code != protocol.BadName || got.Retry != protocol.Never || got.Message != says {
			t.Errorf("%q: %+v", user, got)
		}
		if got := await[*protocol.Closing](c); got.Code != protocol.BadName || got.Message != says {
			t.Errorf("%q: %+v", user, got)
		}
	}
	ann := dial(t, ctx, s, protocol.JSON)
	ann.send(&protocol.Connect{Ref: 1, Version: 1, Token: token(t, time.Hour, jwt.MapClaims{"sub": "ann", "name": "Ann\u202e\u3164 Example\n"})})
	if got := await[*protocol.Connected](ann); got.Name != "Ann Example" {
		t.Errorf("%+v", got)
	}
	open, _ := start(t, nil)
	c := dial(t, ctx, open, protocol.JSON)
	c.send(&protocol.Connect{Ref: 1, Version: 1, User: "a\u2800"})
	if got := c.failure(); got.Code != protocol.BadName || got.Message != "the user begins or ends with white space" {
		t.Errorf("%+v", got)
	}
}
