package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// X47: names with a meaning elsewhere are names like others here, and what cannot be
// told apart by eye is refused.
func TestTopicNames(t *testing.T) {
	for _, name := range []string{
		"a.b", ">", "*", "a b", "../x", "%2e", "$JS.API", "__proto__", "constructor", "😀", "👩‍💻", "A", "a", "caf\u00e9",
		"team:a", "team:", "team:a:b", "a-1_b:x", strings.Repeat("x", 255), "日本語",
	} {
		if err := rules.CheckTopic(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", strings.Repeat("x", 256), strings.Repeat("x", 65536), "a\r\nb", "a\x00", "\x7f", "a\u0085b", "a\u2028b", "a\u2029b",
		"cafe\u0301", "a\xffb", "\xed\xa0\x80", "a\u200bb", "a\u202eb", "\ufeffa", "a\u00adb", "A:b", ":a", "a b:c", "é:x", strings.Repeat("n", 65) + ":x",
	} {
		if err := rules.CheckTopic(name); !errors.Is(err, rules.ErrTopic) {
			t.Errorf("%q is taken: %v", name, err)
		}
	}
}

// X47: each name is in one namespace, and in no other by any trick.
func TestNamespaceOf(t *testing.T) {
	for topic, want := range map[string]string{"room": "", "team:room": "team", "team:x:y": "team", "team": "", "a.team:x": "a.team"} {
		if got := rules.NamespaceOf(topic); got != want {
			t.Errorf("%q is in %q, want %q", topic, got, want)
		}
	}
}

func TestNamespacesAreChecked(t *testing.T) {
	for name, n := range map[string]rules.Namespace{
		"size":      {HistorySize: -1},
		"age":       {HistoryAge: -1},
		"only size": {HistorySize: 1},
		"only age":  {HistoryAge: time.Hour},
		"level":     {Presence: 99},
		"right":     {Who: map[rules.Right]rules.Who{1 << 14: rules.Users}},
		"rights":    {Who: map[rules.Right]rules.Who{3: rules.Users}},
		"who":       {Who: map[rules.Right]rules.Who{rules.Publish: 9}},
		"subscribe": {Who: map[rules.Right]rules.Who{rules.Subscribe: rules.Subscribers}},
	} {
		if _, err := rules.New(map[string]rules.Namespace{"": n}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, name := range []string{"A", "a b", "a:b", strings.Repeat("n", 65), "é"} {
		if _, err := rules.New(map[string]rules.Namespace{name: rules.Default()}); err == nil {
			t.Errorf("namespace %q is taken", name)
		}
	}
}

// The rules do not change with the map that they were made of.
func TestRulesDoNotChange(t *testing.T) {
	n := rules.Default()
	r := newRules(t, n)
	n.Who[rules.Subscribe] = rules.Nobody
	if err := r.May(rules.Subject{User: "ann"}, rules.Request{Command: rules.DoSubscribe, Topic: "a"}); err != nil {
		t.Error(err)
	}
}
