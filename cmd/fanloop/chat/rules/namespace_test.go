package rules_test

import (
	"slices"
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

// The default namespace is called as in the settings, or by nothing. A grant for it is for no
// topic of another one, and one for another that does not exist is found.
func TestGrantsInTheDefaultNamespace(t *testing.T) {
	all, err := rules.New(map[string]rules.Namespace{"": rules.Default(), "team": rules.Default()})
	if err != nil {
		t.Fatal(err)
	}
	rights := rules.RightsOf(rules.Publish)
	for _, name := range []string{rules.DefaultName, ""} {
		g := &rules.Grants{Namespaces: map[string]rules.Rights{name: rights}}
		if g.In("lobby") != rights || g.In("team:x") != 0 {
			t.Errorf("%q: %v and %v", name, g.In("lobby"), g.In("team:x"))
		}
		if err := all.May(rules.Subject{User: "ann", Grants: g}, rules.Request{Command: rules.DoPublish, Topic: "lobby"}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got := all.Unknown(g); got != nil {
			t.Errorf("%q: unknown: %q", name, got)
		}
	}
	g := &rules.Grants{
		Topics:     map[string]rules.Rights{"lobby": rights, "team:x": rights, "b:x": rights, "b:y": rights},
		Namespaces: map[string]rules.Rights{"team": rights, "a": rights, "b": rights},
	}
	if got := all.Unknown(g); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("unknown: %q", got)
	}
	without, err := rules.New(map[string]rules.Namespace{"team": rules.Default()})
	if err != nil {
		t.Fatal(err)
	}
	if got := without.Unknown(g); !slices.Equal(got, []string{"a", "b", rules.DefaultName}) {
		t.Errorf("unknown: %q", got)
	}
}
