package service_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// unfit are JSON values that no client may publish.
var unfit = map[string]string{
	"twice": `{"a":1,"a":2}`, "surrogate": `"\ud800"`, "utf8": "\"\xff\"", "deep": strings.Repeat("[", 40) + strings.Repeat("]", 40),
	"large": `"` + strings.Repeat("x", 17<<10) + `"`,
}

// X38: what a publish hook puts in place of a message and no client may publish is not
// stored: who published hears to try again, and the history stays readable.
func TestHookCannotPublishWhatNoClientMay(t *testing.T) {
	decide := func(q asked) string {
		switch {
		case q.Hook == "connect":
			return `{"allow":true,"user":"ann","namespaces":{"":["publish"]}}`
		case unfit[q.ID] != "":
			return `{"allow":true,"data":` + unfit[q.ID] + `}`
		}
		return `{"allow":true}`
	}
	s, ctx := start(t, func(c *config.Config) {
		withBackend(t, decide, "connect", "publish")(c)
		c.Hooks.Publish.Failures = 100
	})
	ann := enter(t, ctx, s, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	for id := range unfit {
		ann.send(&protocol.Publish{Ref: 7, Topic: "lobby", ID: id, Data: protocol.Data(`1`)})
		if got := ann.failure(); got.Ref != 7 || got.Code != protocol.Unavailable || got.Retry != protocol.Later {
			t.Errorf("%s: %+v", id, got)
		}
	}
	ann.publish("lobby", "good")
	ann.saw("good")
	if got := idsOf(history(ann, protocol.History{Topic: "lobby"}).Messages); len(got) != 1 || got[0] != "good" {
		t.Errorf("%v", got)
	}
}

// Topics and namespaces that a connect hook, or a token, grants rights in and that cannot be
// are refused as a user's name is: the client hears which, and not that it may come in.
func TestNamesOfGrantsAreChecked(t *testing.T) {
	bad := map[string]struct{ grants, says string }{
		"topic":     {`"topics":{"a ":["publish"]}`, "the topic begins or ends with white space"},
		"namespace": {`"namespaces":{"team:x":["publish"]}`, "the namespace is not 1 to 64 of a-z 0-9 - _"},
	}
	decide := func(q asked) string { return `{"allow":true,"user":"ann",` + bad[q.Token].grants + `}` }
	byHook, ctx := start(t, withBackend(t, decide, "connect"))
	byToken, _ := start(t, withAccounts)
	for name, one := range bad {
		var grants map[string]any
		if err := json.Unmarshal([]byte(`{"sub":"ann",`+one.grants+`}`), &grants); err != nil {
			t.Fatal(err)
		}
		for s, shown := range map[*service.Service]string{byHook: name, byToken: token(t, time.Hour, grants)} {
			c := dial(t, ctx, s, protocol.JSON)
			c.send(&protocol.Connect{Ref: 1, Version: 1, Token: shown})
			if got := c.failure(); got.Code != protocol.BadName || got.Retry != protocol.Never || got.Message != one.says {
				t.Errorf("%s, hook %v: %+v", name, s == byHook, got)
			}
		}
	}
}
