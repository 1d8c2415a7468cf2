package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

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
		"signal":    {Who: map[rules.Right]rules.Who{rules.Signal: rules.Users}},
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
