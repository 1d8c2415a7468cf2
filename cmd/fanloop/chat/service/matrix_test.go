package service_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// tried is one form of a command, with the rights that it takes.
type tried struct {
	name    string
	command protocol.Command
	takes   []rules.Right
	// subscribed: it is for subscribers, so one without the right to subscribe has no way
	// to it.
	subscribed bool
	// always: it is about the connection, or takes back what the user did.
	always bool
}

const matrixTopic = "room"

// forms are those of each type of command: a type that is not here fails the test.
func forms(own, others *protocol.Published, data protocol.Data) map[string][]tried {
	target := func(p *protocol.Published) *protocol.Target {
		return &protocol.Target{Offset: p.Pos.Offset, ID: p.Pos.ID}
	}
	publish := func(kind string, of *protocol.Published, data protocol.Data) *protocol.Publish {
		c := &protocol.Publish{Ref: 9, Topic: matrixTopic, ID: "x", Kind: kind, Data: data}
		if of != nil {
			c.Target = target(of)
		}
		return c
	}
	return map[string][]tried{
		"connect": {{name: "connect", command: &protocol.Connect{Ref: 9, Version: protocol.Version}, always: true}},
		"subscribe": {
			{name: "subscribe", command: &protocol.Subscribe{Ref: 9, Topic: matrixTopic, Attempt: 9}, takes: []rules.Right{rules.Subscribe}},
			{name: "subscribe passively", command: &protocol.Subscribe{Ref: 9, Topic: matrixTopic, Attempt: 9, Mode: protocol.Passive}, takes: []rules.Right{rules.Subscribe}},
			{name: "resume", command: &protocol.Subscribe{Ref: 9, Topic: matrixTopic, Attempt: 9, Pos: own.Pos}, takes: []rules.Right{rules.Subscribe}},
		},
		"unsubscribe": {{name: "unsubscribe", command: &protocol.Unsubscribe{Ref: 9, Topic: matrixTopic, Attempt: 1}, always: true}},
		"publish": {
			{name: "publish", command: publish("", nil, data), takes: []rules.Right{rules.Publish}},
			{name: "react", command: publish(protocol.KindReact, others, data), takes: []rules.Right{rules.React}},
			{name: "unreact", command: publish(protocol.KindUnreact, others, data), takes: []rules.Right{rules.React}},
			{name: "edit own", command: publish(protocol.KindEdit, own, data), takes: []rules.Right{rules.Edit}},
			{name: "edit another's", command: publish(protocol.KindEdit, others, data), takes: []rules.Right{rules.Moderate}},
			{name: "delete own", command: publish(protocol.KindDelete, own, nil), takes: []rules.Right{rules.Delete}},
			{name: "delete another's", command: publish(protocol.KindDelete, others, nil), takes: []rules.Right{rules.Moderate}},
		},
		"history":  {{name: "history", command: &protocol.History{Ref: 9, Topic: matrixTopic}, takes: []rules.Right{rules.History}}},
		"presence": {{name: "presence", command: &protocol.GetPresence{Ref: 9, Topic: matrixTopic}, takes: []rules.Right{rules.Presence}}},
		"set": {{name: "typing", command: &protocol.Set{Ref: 9, Topic: matrixTopic, Kind: protocol.KindTyping, Data: protocol.Data(`1`)},
			takes: []rules.Right{rules.Signal}, subscribed: true}},
		"read":    {{name: "read", command: &protocol.Read{Ref: 9, Topic: matrixTopic, Pos: own.Pos}, takes: []rules.Right{rules.Signal}, subscribed: true}},
		"unread":  {{name: "unread", command: &protocol.Unread{Ref: 9, Topic: matrixTopic, Pos: own.Pos, Version: 1}, takes: []rules.Right{rules.Signal}, subscribed: true}},
		"refresh": {{name: "refresh", command: &protocol.Refresh{Ref: 9, Token: "none"}, always: true}},
		"ping":    {{name: "ping", command: &protocol.Ping{Ref: 9}, always: true}},
	}
}

// rightSets are each right alone, all but each, all and none.
func rightSets() (sets []rules.Rights) {
	sets = append(sets, 0, rules.AllRights)
	for _, name := range rules.RightNames() {
		right, _ := rules.ParseRight(name)
		sets = append(sets, rules.RightsOf(right), rules.AllRights&^rules.RightsOf(right))
	}
	return sets
}

// Every command of the protocol against every right that a token can grant, by the wire:
// what the rights do not allow is refused, and what they allow is answered.
func TestEveryCommandOfTheProtocolAgainstEveryRight(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		c.Accounts.Keys = []config.Key{{Algorithm: "HS256", Secret: config.NewSecret(secret)}}
		who := config.Who{}
		for _, name := range rules.RightNames() {
			right, _ := rules.ParseRight(name)
			who[right] = rules.Granted
		}
		n := c.Namespaces[config.DefaultNamespace]
		n.Who = who
		c.Namespaces[config.DefaultNamespace] = n
		c.Limits.User, c.Limits.Address = config.Per{}, config.Per{}
	})
	publish := func(user string) *protocol.Published {
		p, err := s.Publish(ctx, user, "", &protocol.Publish{Topic: matrixTopic, ID: "of-" + user, Data: protocol.Data(`1`)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	all := forms(publish("ann"), publish("ben"), protocol.Data(`"👍"`))
	for _, one := range protocol.EveryCommand() {
		rows := all[protocol.NameOf(one)]
		if len(rows) == 0 {
			t.Errorf("the command %s has no row: say what it takes", protocol.NameOf(one))
		}
		for _, row := range rows {
			for _, set := range rightSets() {
				claims := jwt.MapClaims{"sub": "ann", "topics": map[string][]string{}}
				if set != 0 {
					claims["topics"] = map[string][]string{matrixTopic: strings.Split(set.String(), ",")}
				}
				c := enter(t, ctx, s, token(t, time.Hour, claims))
				subscribed := row.subscribed && set.Has(rules.RightsOf(rules.Subscribe))
				if subscribed {
					c.subscribe(protocol.Subscribe{Topic: matrixTopic, Attempt: 1})
				}
				allowed := row.always || set.Has(rules.RightsOf(row.takes...)) && (subscribed || !row.subscribed)
				if refused, answer := c.tries(row.command); refused == allowed {
					t.Errorf("%s with %q: %s; allowed is %v", row.name, set, answer, allowed)
				}
				c.ws.CloseNow()
			}
		}
	}
}

// tries sends a command, and reports whether the answer says that it is not allowed.
func (c *client) tries(command protocol.Command) (refused bool, answer string) {
	c.t.Helper()
	c.send(command)
	for {
		f := c.next()
		if e, is := f.(*protocol.Error); is {
			refused := []protocol.Code{protocol.Forbidden, protocol.NotSubscribed, protocol.TokenRequired}
			return slices.Contains(refused, e.Code), string(e.Code)
		}
		if a, is := f.(protocol.Command); is { // no frame is one
			c.t.Fatalf("%+v", a)
		}
		if a, is := f.(interface{ Answers() protocol.Ref }); is && a.Answers() == command.Answers() {
			return false, protocol.NameOf(f)
		}
	}
}
