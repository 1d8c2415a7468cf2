package session_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// member is a grant to subscribe and to publish.
func member() *session.Grant {
	return &session.Grant{Rights: rules.RightsOf(rules.Subscribe, rules.Publish)}
}

// authorize subscribes with a token and answers that with a grant.
func (w *world) authorize(topic string, attempt uint32, g *session.Grant) {
	w.t.Helper()
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: topic, Attempt: attempt, Token: "t"})
	c := w.next("Authorize")
	c.grant = g
	c.answer(nil)
}

// X37: a grant that is taken away, since its token was revoked, ends the subscription that
// needs it, and no other.
func TestAWithdrawnGrantEndsItsSubscription(t *testing.T) {
	open := func(topic string) (*world, *session.Grant) {
		w, g := newWorld(t).connect(), member()
		w.subscribe("b", 1)
		w.authorize(topic, 2, g)
		w.answer("Open", nil)
		w.got = nil
		return w, g
	}
	w, g := open("private:a")
	w.s.Withdraw(g, protocol.Revoked)
	w.s.Withdraw(g, protocol.Revoked)
	w.s.Do(&protocol.Publish{Ref: 3, Topic: "private:a", ID: "p", Data: protocol.Data("1")})
	w.s.Do(&protocol.Publish{Ref: 4, Topic: "b", ID: "q", Data: protocol.Data("1")})
	w.want("stop 2", "unsubscribed attempt=2 revoked", "not_subscribed ref=3", "call Publish q")

	w, g = open("a") // anybody may
	w.s.Withdraw(g, protocol.Revoked)
	w.want()

	w, g = open("private:a")
	w.s.Do(&protocol.Refresh{Ref: 3, Topic: "private:a", Attempt: 2, Token: "t2"})
	c := w.next("Authorize")
	c.grant = member()
	c.answer(nil)
	w.s.Withdraw(g, protocol.Revoked) // was under way
	w.want("call Authorize", "refreshed ref=3")

	w, g = newWorld(t).connect(), member() // while it is opened
	w.authorize("private:a", 1, g)
	w.s.Withdraw(g, protocol.Revoked)
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "revoked ref=2", "stop 1")
}

// A grant is held as long as its subscription uses it, whatever ends that.
func TestGrantsAreReleased(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"unsubscribe":     func(w *world) { w.s.Do(&protocol.Unsubscribe{Topic: "private:a", Attempt: 1}) },
		"by the service":  func(w *world) { w.s.Unsubscribe("private:a", 0, protocol.Forbidden) },
		"end":             func(w *world) { w.s.End() },
		"close":           func(w *world) { w.s.Close(protocol.Revoked, "") },
		"expired":         func(w *world) { w.now = w.now.Add(time.Minute); w.s.Expire() },
		"another attempt": func(w *world) { w.s.Do(&protocol.Subscribe{Ref: 3, Topic: "private:a", Attempt: 2}) },
		"a refresh that adds nothing": func(w *world) {
			w.s.Do(&protocol.Refresh{Ref: 3, Topic: "private:a", Attempt: 1, Token: "t2"})
			c := w.next("Authorize")
			c.grant = &session.Grant{}
			c.answer(nil)
		},
	} {
		w, g := newWorld(t).connect(), member()
		g.Expires = w.now.Add(time.Minute)
		w.authorize("private:a", 1, g)
		w.answer("Open", nil)
		if len(w.held) != 1 {
			t.Errorf("%s: %d grants before", name, len(w.held))
		}
		end(w)
		if len(w.held) != 0 {
			t.Errorf("%s: %d grants", name, len(w.held))
		}
	}
	for name, end := range map[string]func(w *world){ // while it is checked
		"unsubscribe": func(w *world) { w.s.Do(&protocol.Unsubscribe{Topic: "private:a", Attempt: 1}) },
		"end":         func(w *world) { w.s.End() },
		"no right":    func(w *world) { w.calls[0].grant.Rights = 0 },
	} {
		w := newWorld(t).connect()
		w.s.Do(&protocol.Subscribe{Ref: 2, Topic: "private:a", Attempt: 1, Token: "t"})
		w.calls[0].grant = member()
		end(w)
		w.answer("Authorize", nil)
		if len(w.held) != 0 {
			t.Errorf("while it is checked, %s: %d grants", name, len(w.held))
		}
	}
}
