package service_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// logged runs a node whose log is kept.
func logged(t *testing.T, change func(*config.Config)) (*service.Service, context.Context, *logs) {
	t.Helper()
	kept := new(logs)
	c := config.Default()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	s, err := service.Start(ctx, c, slog.New(slog.NewTextHandler(kept, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return s, ctx, kept
}

// lines are those of the log that have a text.
func (l *logs) lines(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// X36: the operator sees why tokens are refused, in the log and in the counters, by reasons
// of a closed set. Clients get one wording for all of them.
func TestRefusedTokensHaveReasons(t *testing.T) {
	s, ctx, kept := logged(t, withAccounts)
	good := token(t, time.Hour, jwt.MapClaims{"sub": "ann"})
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "ann"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for reason, text := range map[auth.Reason]string{
		auth.ReasonAudience:  token(t, time.Hour, jwt.MapClaims{"sub": "ann", "aud": "shop"}),
		auth.ReasonLifetime:  token(t, 1000*time.Hour, jwt.MapClaims{"sub": "ann"}),
		auth.ReasonMissing:   "",
		auth.ReasonAlgorithm: none,
		auth.ReasonSpace:     good + "\n",
		auth.ReasonSignature: good[:len(good)-4] + "AAAA",
	} {
		client := dial(t, ctx, s, protocol.JSON)
		client.send(&protocol.Connect{Ref: 1, Version: 1, Token: text})
		if got := client.failure(); got.Code != protocol.Unauthorized || got.Message != "" {
			t.Errorf("%s: %+v", reason, got)
		}
		if n := s.Stats().Tokens[reason]; n != 1 {
			t.Errorf("%s is counted %d times", reason, n)
		}
		if found := kept.lines("reason=" + string(reason)); len(found) != 1 || !strings.Contains(found[0], "level=INFO") || !strings.Contains(found[0], "at=connect") || !strings.Contains(found[0], "advice=") {
			t.Errorf("%s in the log: %q", reason, found)
		}
	}
	if n := len(s.Stats().Tokens); n != len(auth.Reasons()) {
		t.Errorf("%d reasons are counted", n)
	}
}

// A refused token is counted wherever it is shown: to refresh, and for a topic.
func TestRefusedTokensOfTopicsAndRefreshes(t *testing.T) {
	s, ctx, kept := logged(t, withAccounts)
	good := token(t, time.Hour, jwt.MapClaims{"sub": "ann"})
	ann := enter(t, ctx, s, good)
	ann.send(&protocol.Refresh{Ref: 2, Token: good + "\n"})
	ann.failure()
	ann.send(&protocol.Subscribe{Ref: 3, Topic: "private:x", Attempt: 1, Token: good})
	ann.failure()
	got := s.Stats().Tokens
	if got[auth.ReasonSpace] != 1 || got[auth.ReasonPurpose] != 1 || len(kept.lines("at=refresh")) != 1 || len(kept.lines("at=topic")) != 1 {
		t.Errorf("%v, %q", got, kept.lines("token"))
	}
}

// A deletion, and an edit, leave the data of the message in the history: README says so.
func TestDeletionsHideAndDoNotErase(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.send(&protocol.Publish{Ref: 2, Topic: "lobby", ID: "m", Data: protocol.Data(`"text"`)})
	stored := await[*protocol.Published](ann)
	target := &protocol.Target{Offset: stored.Pos.Offset, ID: stored.Pos.ID}
	ann.send(&protocol.Publish{Ref: 3, Topic: "lobby", ID: "e", Kind: protocol.KindEdit, Target: target, Data: protocol.Data(`"new"`)})
	await[*protocol.Published](ann)
	ann.send(&protocol.Publish{Ref: 4, Topic: "lobby", ID: "d", Kind: protocol.KindDelete, Target: target})
	await[*protocol.Published](ann)
	page := history(ann, protocol.History{Topic: "lobby"})
	if len(page.Messages) != 3 || string(page.Messages[0].Data) != `"text"` || string(page.Messages[1].Data) != `"new"` {
		t.Errorf("%+v", page.Messages)
	}
}

// Every reason has an advice for the operator.
func TestEveryReasonHasAdvice(t *testing.T) {
	for _, reason := range auth.Reasons() {
		if service.AdviceFor(reason) == "" {
			t.Errorf("none for %s", reason)
		}
	}
}

// X40: the operator sees the origin that is refused, and the setting that would allow it.
func TestRefusedOriginsAreLogged(t *testing.T) {
	for how, ask := range map[string]func(ctx context.Context, s *service.Service, origin string){
		"WebSocket": func(ctx context.Context, s *service.Service, origin string) {
			if _, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", &engine.DialOptions{Origin: origin}); err == nil {
				t.Error("it is allowed")
			}
		},
		"stream": func(ctx context.Context, s *service.Service, origin string) {
			resp := post(t, ctx, "http://"+s.Addr()+"/v1/stream", map[string]string{"Origin": origin}, &protocol.Connect{Ref: 1, Version: 1, User: "ann"})
			if resp.StatusCode != http.StatusForbidden {
				t.Error(resp.Status)
			}
		},
	} {
		s, ctx, kept := logged(t, nil)
		ask(ctx, s, "https://www.example.com")
		ask(ctx, s, "not\\an origin")
		ask(ctx, s, "https://www.example.com")
		found := kept.lines("origin was refused")
		if len(found) == 0 || !strings.Contains(found[0], "level=INFO") || !strings.Contains(found[0], "origin=https://www.example.com") || !strings.Contains(found[0], "`origins`") {
			t.Errorf("%s: %q", how, found)
		}
		if len(kept.lines("not\\")) != 0 {
			t.Errorf("%s: what is no origin is in the log: %q", how, found)
		}
	}
}

// A token grants rights in the default namespace by the name that it has in the settings. One
// that grants them where there is nothing is accepted, and logged.
func TestGrantsOfTokens(t *testing.T) {
	s, ctx, kept := logged(t, withAccounts)
	grant := func(space string) *client {
		return enter(t, ctx, s, token(t, time.Hour, jwt.MapClaims{"sub": "ann", "namespaces": map[string]any{space: []string{"publish"}}}))
	}
	ann := grant("default")
	ann.publish("lobby", "unsubscribed")
	if found := kept.lines("does not exist"); len(found) != 0 {
		t.Errorf("in the log: %q", found)
	}
	grant("nosuch")
	if found := kept.lines("does not exist"); len(found) != 1 || !strings.Contains(found[0], "namespace=nosuch") {
		t.Errorf("in the log: %q", found)
	}
}
