package hooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

var jsonBlock = regexp.MustCompile("(?s)```json ([a-z ]+)\n(.*?)\n```")

// blocks are the examples of BACKEND.md by their names.
func blocks(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../BACKEND.md")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, m := range jsonBlock.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// The tokens of BACKEND.md are valid, and say what it says.
func TestTokensOfTheDocument(t *testing.T) {
	all := blocks(t)
	key, err := auth.NewKey("", "HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewStatic(key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(auth.Config{Keys: keys, Audience: []string{"chat"}, Now: func() time.Time { return time.Unix(1800000001, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(block string) auth.Token {
		var claims jwt.MapClaims
		if err := json.Unmarshal([]byte(all[block]), &claims); err != nil {
			t.Fatalf("%s: %v", block, err)
		}
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return auth.NewToken(text)
	}
	c, err := v.Connection(sign("connection token"))
	if err != nil || c.User != "ann" || c.Name != "Ann Example" || c.ID != "8f1c-2" || c.Session != "8f1c" ||
		c.Grants.In("room:lobby") != rules.RightsOf(rules.Moderate) || c.Grants.In("team:x") != rules.RightsOf(rules.Subscribe, rules.Publish) {
		t.Errorf("%+v, %v, %s", c, err, auth.ReasonOf(err))
	}
	c, err = v.Topic(sign("topic token"), auth.Claims{User: "ann", Session: "8f1c"}, "private:board")
	if err != nil || c.Rights != rules.RightsOf(rules.Subscribe, rules.History) {
		t.Errorf("%+v, %v, %s", c, err, auth.ReasonOf(err))
	}
}

// The question of BACKEND.md is what is sent, its answers are understood, and the
// signature is what it says.
func TestHooksOfTheDocument(t *testing.T) {
	all := blocks(t)
	var sent string
	b := &backend{answer: func(r *http.Request, body string) (*http.Response, error) {
		sent = body
		text := r.Header.Get("Fanloop-Signature")
		seconds := strings.TrimPrefix(strings.Split(text, ",")[0], "t=")
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(strings.Join([]string{"v1", seconds, r.Header.Get("Fanloop-Hook"), r.Header.Get("Fanloop-Id"), body}, "\n")))
		if want := "t=" + seconds + ",v1=" + hex.EncodeToString(h.Sum(nil)); text != want {
			t.Errorf("signature %s, want %s", text, want)
		}
		return response(r, 200, all["answer"])
	}}
	h := newHook(t, hooks.Config{Timeout: time.Minute, Transport: b})
	q := hooks.Question{User: "ann", Session: "8f1c", Address: "192.0.2.1", Topic: "private:board"}
	a, err := h.Ask(context.Background(), q)
	if err != nil || !a.Allow || a.Rights != rules.RightsOf(rules.Subscribe, rules.History) || a.Expires.Unix() != 1800000300 {
		t.Errorf("%+v, %v", a, err)
	}
	if sent != all["question"] {
		t.Errorf("sent %s, the document has %s", sent, all["question"])
	}
	q = hooks.Question{
		User: "ann", Session: "8f1c", Address: "192.0.2.1", Topic: "room:lobby", ID: "8f3zq0c2", Event: protocol.KindEdit,
		Target: &protocol.Target{Offset: 81231, ID: "d0aa17"}, Author: "bob", Data: []byte(`{"text":"hi Ann"}`),
	}
	publish := newHook(t, hooks.Config{Kind: hooks.Publish, Timeout: time.Minute, Transport: b})
	if _, err := publish.Ask(context.Background(), q); err != nil || sent != all["question about an edit"] {
		t.Errorf("sent %s, the document has %s; %v", sent, all["question about an edit"], err)
	}
	b.set(says(200, all["refusal"]))
	if a, err := h.Ask(context.Background(), q); err != nil || a.Allow || a.Reason != "members only" {
		t.Errorf("%+v, %v", a, err)
	}
}
