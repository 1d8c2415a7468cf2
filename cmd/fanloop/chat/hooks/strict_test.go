package hooks_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// unfit are JSON values that no frame may have: a decoder of clients refuses them, or reads
// them in two ways.
var unfit = map[string]string{
	"a name twice":        `{"a":1,"a":2}`,
	"a name twice inside": `{"x":[{"a":1,"\u0061":2}]}`,
	"half a surrogate":    `"\ud800"`,
	"invalid UTF-8":       "\"\xff\"",
	"too deep":            strings.Repeat("[", 32) + strings.Repeat("]", 32),
}

// X38: data in place of what is published is checked as that of clients. Data that no client
// may publish is no answer: nobody gets it, and its cause is told.
func TestDataOfTheBackendIsChecked(t *testing.T) {
	bad := map[string]string{"more than the limit": `"` + strings.Repeat("x", 99) + `"`}
	for name, data := range unfit {
		bad[name] = data
	}
	react := hooks.Question{Topic: "t", ID: "1", Event: protocol.KindReact, Target: &protocol.Target{Offset: 1, ID: "x"}, Data: []byte(`"👍"`)}
	remove := hooks.Question{Topic: "t", ID: "1", Event: protocol.KindDelete, Target: &protocol.Target{Offset: 1, ID: "x"}}
	plain := hooks.Question{Topic: "t", ID: "1", Data: []byte(`1`)}
	check := func(name string, q hooks.Question, data string) {
		var cause error
		h := newHook(t, hooks.Config{
			Kind: hooks.Publish, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"data":`+data+`}`)}, MaxData: 100,
			OnAnswer: func(_ hooks.Kind, _ hooks.Outcome, err error, _ time.Duration) { cause = err },
		})
		a, err := h.Ask(context.Background(), q)
		if !errors.Is(err, hooks.ErrUnavailable) || hooks.OutcomeOf(a, err) != hooks.Body || a.Allow || cause == nil {
			t.Errorf("%s: %+v, %v, cause %v", name, a, err, cause)
		}
	}
	for name, data := range bad {
		check(name, plain, data)
	}
	check("a reaction that is none", react, `{"text":"replaced"}`)
	check("a deletion with data", remove, `1`)

	h := newHook(t, hooks.Config{Kind: hooks.Publish, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"data":{ "a" :`+"\n"+`[1, "😀"]}}`)}})
	if a, err := h.Ask(context.Background(), plain); err != nil || string(a.Data) != `{"a":[1,"😀"]}` {
		t.Errorf("%s, %v", a.Data, err)
	}
}

// An answer may have data of the largest size that clients publish, whatever that is: also where
// it writes each character as an escape.
func TestAnswersHaveRoomForTheirData(t *testing.T) {
	for _, most := range []int{16 << 10, 512 << 10} {
		for name, text := range map[string]string{"plain": strings.Repeat("x", most-2), "escapes": strings.Repeat(`\u0000`, (most-2)/6)} {
			h := newHook(t, hooks.Config{Kind: hooks.Publish, MaxData: most, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"data":"`+text+`"}`)}})
			a, err := h.Ask(context.Background(), hooks.Question{Topic: "t", ID: "1", Data: []byte(`1`)})
			if err != nil || len(a.Data) != len(text)+2 {
				t.Errorf("%d bytes, %s: %d, %v", most, name, len(a.Data), err)
			}
		}
	}
}

// X38: without an answer that can be used, the choice of Otherwise counts, and what the client
// said is published.
func TestOtherwiseForDataThatIsUnfit(t *testing.T) {
	h := newHook(t, hooks.Config{
		Kind: hooks.Publish, Otherwise: hooks.Allow, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"data":{"a":1,"a":2}}`)},
	})
	if a, err := h.Ask(context.Background(), hooks.Question{Topic: "t", ID: "1", Data: []byte(`1`)}); err != nil || !a.Otherwise || a.Data != nil {
		t.Errorf("%+v, %v", a, err)
	}
}

// X38: an answer is read as strictly as what clients send.
func TestAnswersAreReadStrictly(t *testing.T) {
	all := map[string]string{
		"another case":        `{"ALLOW":true,"user":"ann"}`,
		"allow twice":         `{"allow":false,"allow":true,"user":"ann"}`,
		"the user twice":      `{"allow":true,"user":"bob","user":"ann"}`,
		"the user, once more": `{"allow":true,"user":"bob","\u0075ser":"ann"}`,
		"no UTF-8":            "{\"allow\":true,\"user\":\"ann\",\"name\":\"\xff\"}",
		"two refusals":        `{"allow":false,"reason":"a","reason":"b"}`,
	}
	for name, value := range unfit {
		all["info: "+name] = `{"allow":true,"user":"ann","info":` + value + `}`
	}
	for name, body := range all {
		h := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: &backend{answer: says(200, body)}})
		if a, err := h.Ask(context.Background(), hooks.Question{}); !errors.Is(err, hooks.ErrUnavailable) || hooks.OutcomeOf(a, err) != hooks.Body {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	h := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"user":"ann","more":{"x":1}}`)}})
	if a, err := h.Ask(context.Background(), hooks.Question{}); err != nil || a.User != "ann" {
		t.Errorf("a member that is not known: %+v, %v", a, err)
	}
}

// X38: topics and namespaces of an answer are checked as those of a token are.
func TestTopicsOfTheBackendAreChecked(t *testing.T) {
	for _, c := range []struct{ grants, want string }{
		{`"topics":{"a ":[]}`, "the topic begins or ends with white space"},
		{`"topics":{"":[]}`, "the topic is empty"},
		{`"topics":{"Team:x":[]}`, "the topic has a namespace"},
		{`"namespaces":{"Team":["publish"]}`, "the namespace is not 1 to 64 of a-z 0-9 - _"},
		{`"namespaces":{"team:x":["publish"]}`, "the namespace is not 1 to 64 of a-z 0-9 - _"},
	} {
		h := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"user":"ann",`+c.grants+`}`)}})
		a, err := h.Ask(context.Background(), hooks.Question{})
		if _, named := errors.AsType[*names.Error](err); !named || !strings.Contains(err.Error(), c.want) || a.Allow {
			t.Errorf("%s: %+v, %v; want %s", c.grants, a, err, c.want)
		}
	}
	h := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: &backend{answer: says(200, `{"allow":true,"user":"ann","topics":{"team:x":["publish"]},"namespaces":{"":["publish"],"team":[]}}`)}})
	if a, err := h.Ask(context.Background(), hooks.Question{}); err != nil || len(a.Grants.Topics) != 1 || len(a.Grants.Namespaces) != 2 {
		t.Errorf("%+v, %v", a, err)
	}
}
