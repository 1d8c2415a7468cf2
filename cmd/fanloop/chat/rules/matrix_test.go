package rules_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// row is what one command takes, written down apart from the code.
type row struct {
	own, others []rules.Right // for own messages, or where there is no author; and for those of others
	subscribed  bool
	stored      bool
	authored    bool
}

var matrix = map[rules.Command]row{
	rules.DoSubscribe:   {own: rights(rules.Subscribe)},
	rules.DoUnsubscribe: {},
	rules.DoPublish:     {own: rights(rules.Publish)},
	rules.DoSet:         {own: rights(rules.Signal), subscribed: true},
	rules.DoRead:        {own: rights(rules.Signal), subscribed: true, stored: true},
	rules.DoPresence:    {own: rights(rules.Presence)},
	rules.DoHistory:     {own: rights(rules.History), stored: true},
	rules.DoReact:       {own: rights(rules.React), stored: true},
	rules.DoEdit:        {own: rights(rules.Edit), others: rights(rules.Moderate), authored: true, stored: true},
	rules.DoDelete:      {own: rights(rules.Delete), others: rights(rules.Moderate), authored: true, stored: true},
}

func rights(all ...rules.Right) []rules.Right { return all }

func namespace(who rules.Who) rules.Namespace {
	n := rules.Namespace{HistorySize: 1, HistoryAge: time.Hour, Presence: presence.Full, Who: map[rules.Right]rules.Who{}}
	for i := range len(rules.RightNames()) {
		n.Who[1<<i] = who
	}
	if who == rules.Users { // signals are those of subscribers
		n.Who[rules.Signal] = rules.Subscribers
	}
	return n
}

func newRules(t testing.TB, n rules.Namespace) *rules.Rules {
	t.Helper()
	r, err := rules.New(map[string]rules.Namespace{"": n})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every command against every set of granted rights, by topic, by namespace and by a
// topic token, for own messages and those of others, subscribed and not.
func TestEveryCommandAgainstEveryRight(t *testing.T) {
	r := newRules(t, namespace(rules.Granted))
	if len(matrix) != len(rules.Commands()) {
		t.Fatalf("the matrix has %d commands, the package %d", len(matrix), len(rules.Commands()))
	}
	for _, c := range rules.Commands() {
		want, ok := matrix[c]
		if !ok {
			t.Fatalf("%v is not in the matrix", c)
		}
		for set := rules.Rights(0); set <= rules.AllRights; set++ {
			for _, subscribed := range []bool{false, true} {
				for _, author := range []string{"ann", "ben", ""} {
					needed := want.own
					if want.authored && author != "ann" {
						needed = want.others
					}
					allowed := set.Has(rules.RightsOf(needed...)) && (subscribed || !want.subscribed)
					for how, s := range subjects(set, subscribed) {
						err := r.May(s, rules.Request{Command: c, Topic: "room", Author: author})
						if (err == nil) != allowed {
							t.Fatalf("%v with %q %s, author %q, subscribed %v: %v", c, set, how, author, subscribed, err)
						}
					}
				}
			}
		}
	}
}

// subjects has one user with a set of rights, by each way to get them.
func subjects(set rules.Rights, subscribed bool) map[string]rules.Subject {
	return map[string]rules.Subject{
		"by topic":       {User: "ann", Subscribed: subscribed, Grants: &rules.Grants{Topics: map[string]rules.Rights{"room": set}}},
		"by namespace":   {User: "ann", Subscribed: subscribed, Grants: &rules.Grants{Namespaces: map[string]rules.Rights{"": set}}},
		"by topic token": {User: "ann", Subscribed: subscribed, Topic: set},
	}
}

// Every command where each level of Who has all rights, without any grant.
func TestEveryCommandAgainstEveryWho(t *testing.T) {
	for who := rules.Nobody; who <= rules.Users; who++ {
		n := namespace(who)
		if who == rules.Subscribers {
			n.Who[rules.Subscribe] = rules.Users
		}
		r := newRules(t, n)
		for _, c := range rules.Commands() {
			for _, subscribed := range []bool{false, true} {
				joins := c == rules.DoSubscribe
				allowed := c == rules.DoUnsubscribe ||
					who == rules.Users && (subscribed || !matrix[c].subscribed) ||
					who == rules.Subscribers && (subscribed || joins)
				s := rules.Subject{User: "ann", Subscribed: subscribed}
				if err := r.May(s, rules.Request{Command: c, Topic: "room", Author: "ann"}); (err == nil) != allowed {
					t.Errorf("%v has all, %v, subscribed %v: %v", who, c, subscribed, err)
				}
			}
		}
	}
}

// A right that nobody has is not had by a grant either.
func TestNobodyIsAboveGrants(t *testing.T) {
	r := newRules(t, namespace(rules.Nobody))
	for _, c := range rules.Commands() {
		for how, s := range subjects(rules.AllRights, true) {
			err := r.May(s, rules.Request{Command: c, Topic: "room", Author: "ann"})
			if allowed := c == rules.DoUnsubscribe; (err == nil) != allowed || !allowed && !errors.Is(err, rules.ErrDenied) {
				t.Errorf("%v %s: %v", c, how, err)
			}
		}
	}
}

// Without history, what needs one says so.
func TestTopicsWithoutHistory(t *testing.T) {
	n := namespace(rules.Users)
	n.HistorySize, n.HistoryAge = 0, 0
	r := newRules(t, n)
	for _, c := range rules.Commands() {
		err := r.May(rules.Subject{User: "ann", Subscribed: true}, rules.Request{Command: c, Topic: "room", Author: "ann"})
		if want := matrix[c].stored; errors.Is(err, rules.ErrNoHistory) != want || !want && err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// Where presence is off, nobody sees it.
func TestPresenceOff(t *testing.T) {
	n := namespace(rules.Users)
	n.Presence = presence.Off
	r := newRules(t, n)
	for _, c := range rules.Commands() {
		err := r.May(rules.Subject{User: "ann", Subscribed: true, Topic: rules.AllRights}, rules.Request{Command: c, Topic: "room", Author: "ann"})
		if want := c == rules.DoPresence; errors.Is(err, rules.ErrDenied) != want || !want && err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	if level := r.PresenceLevel("room"); level != presence.Off {
		t.Errorf("level %v", level)
	}
}

// Who has no name, a command that does not exist and a topic that cannot be are
// refused, whatever the rules allow.
func TestRefusedWhateverTheRulesAre(t *testing.T) {
	r := newRules(t, namespace(rules.Users))
	ann := rules.Subject{User: "ann", Subscribed: true, Topic: rules.AllRights}
	for _, tt := range []struct {
		name string
		s    rules.Subject
		q    rules.Request
		want error
	}{
		{"no name", rules.Subject{Subscribed: true, Topic: rules.AllRights}, rules.Request{Command: rules.DoSubscribe, Topic: "room"}, rules.ErrDenied},
		{"no name is no author", rules.Subject{Topic: rules.AllRights}, rules.Request{Command: rules.DoEdit, Topic: "room"}, rules.ErrDenied},
		{"no command", ann, rules.Request{Topic: "room"}, rules.ErrDenied},
		{"unknown command", ann, rules.Request{Command: 200, Topic: "room"}, rules.ErrDenied},
		{"no topic", ann, rules.Request{Command: rules.DoUnsubscribe}, names.ErrName},
		{"other namespace", ann, rules.Request{Command: rules.DoUnsubscribe, Topic: "x:room"}, rules.ErrNamespace},
	} {
		if err := r.May(tt.s, tt.q); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; want %v", tt.name, err, tt.want)
		}
	}
}

// Rights in one topic or namespace are none in another.
func TestGrantsStayInTheirTopic(t *testing.T) {
	r, err := rules.New(map[string]rules.Namespace{"": namespace(rules.Granted), "team": namespace(rules.Granted)})
	if err != nil {
		t.Fatal(err)
	}
	grants := &rules.Grants{
		Topics:     map[string]rules.Rights{"a": rules.AllRights, "team:a": rules.AllRights},
		Namespaces: map[string]rules.Rights{"other": rules.AllRights},
	}
	for topic, allowed := range map[string]bool{"a": true, "team:a": true, "b": false, "team:b": false, "A": false, "a ": false} {
		if err := r.May(rules.Subject{User: "ann", Grants: grants}, rules.Request{Command: rules.DoSubscribe, Topic: topic}); (err == nil) != allowed {
			t.Errorf("%q: %v", topic, err)
		}
	}
}

// Every call of the server API against every scope, and against a bound to
// namespaces.
func TestEveryCallAgainstEveryScope(t *testing.T) {
	r, err := rules.New(map[string]rules.Namespace{"": namespace(rules.Nobody), "team": namespace(rules.Nobody)})
	if err != nil {
		t.Fatal(err)
	}
	aboutUsers := map[rules.Call]bool{rules.CallUserInfo: true, rules.CallDisconnect: true, rules.CallRevoke: true}
	bounds := map[string]map[string]bool{"none": nil, "team": {"team": true}, "nothing": {}}
	for _, call := range rules.Calls() {
		for _, scope := range rules.Calls() {
			for bound, namespaces := range bounds {
				for _, topic := range []string{"", "room", "team:room", "x:room"} {
					caller := rules.Caller{Name: "shop", Calls: map[rules.Call]bool{scope: true}, Namespaces: namespaces}
					allowed := call == scope
					if aboutUsers[call] {
						allowed = allowed && bound == "none" && topic == ""
					} else {
						allowed = allowed && (topic == "team:room" && bound != "nothing" || topic == "room" && bound == "none")
					}
					if err := r.MayCall(caller, call, topic); (err == nil) != allowed {
						t.Errorf("%v by %v bound to %s in %q: %v", call, scope, bound, topic, err)
					}
				}
			}
		}
		if err := r.MayCall(rules.Caller{}, call, "room"); !errors.Is(err, rules.ErrDenied) {
			t.Errorf("%v by nobody: %v", call, err)
		}
	}
	all := map[rules.Call]bool{0: true, 99: true}
	for _, call := range []rules.Call{0, 99} {
		if err := r.MayCall(rules.Caller{Name: "shop", Calls: all}, call, "room"); !errors.Is(err, rules.ErrDenied) {
			t.Errorf("%v: %v", call, err)
		}
	}
}

// Every right does something, and every name is read back.
func TestEveryRightIsUsed(t *testing.T) {
	var used rules.Rights
	for _, want := range matrix {
		used |= rules.RightsOf(want.own...) | rules.RightsOf(want.others...)
	}
	if used != rules.AllRights {
		t.Errorf("unused: %v", rules.AllRights&^used)
	}
	for i, name := range rules.RightNames() {
		if r, err := rules.ParseRight(name); err != nil || r != 1<<i || r.String() != name {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	for _, call := range rules.Calls() {
		if c, err := rules.ParseCall(call.String()); err != nil || c != call {
			t.Errorf("%v: %v, %v", call, c, err)
		}
	}
	for i, name := range rules.WhoNames() {
		if w, err := rules.ParseWho(name); err != nil || w != rules.Who(i) || w.String() != name {
			t.Errorf("%s: %v, %v", name, w, err)
		}
	}
	for _, err := range []error{second(rules.ParseRight("x")), second(rules.ParseCall("")), second(rules.ParseWho("all"))} {
		if err == nil {
			t.Error("an unknown name is taken")
		}
	}
}

func second[T any](_ T, err error) error { return err }

func Example() {
	r, err := rules.New(map[string]rules.Namespace{"": rules.Default()})
	if err != nil {
		fmt.Println(err)
		return
	}
	ann := rules.Subject{User: "ann"}
	fmt.Println(r.May(ann, rules.Request{Command: rules.DoPublish, Topic: "lobby"}))
	ann.Subscribed = true
	fmt.Println(r.May(ann, rules.Request{Command: rules.DoPublish, Topic: "lobby"}))
	fmt.Println(r.May(ann, rules.Request{Command: rules.DoDelete, Topic: "lobby", Author: "ben"}))
	// Output:
	// rules: subscribe to the topic first: publish
	// <nil>
	// rules: not allowed: delete
}
