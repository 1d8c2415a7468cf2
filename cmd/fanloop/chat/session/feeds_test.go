package session_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// X36: who may not read history is subscribed from now on, whatever position he brings, and
// learns whether he missed something. A topic that keeps nothing is subscribed alike.
func TestAResumeWithoutHistory(t *testing.T) {
	mine, later := protocol.Position{Epoch: "e", Offset: 1, ID: "x"}, protocol.Position{Epoch: "e", Offset: 2, ID: "y"}
	nobody := map[rules.Right]rules.Who{rules.History: rules.Nobody}
	for _, test := range []struct {
		topic string
		who   map[rules.Right]rules.Who
		end   *protocol.Position
		want  protocol.State
	}{
		{"a", nobody, &mine, protocol.Resumed},
		{"a", nobody, &later, protocol.Reset},
		{"a", map[rules.Right]rules.Who{rules.History: rules.Granted}, &later, protocol.Reset},
		{"plain:a", nil, nil, protocol.Reset},
	} {
		w := newWorld(t).connect()
		w.setRules(test.who)
		var state protocol.State
		w.sent = func(f protocol.Frame) {
			if answer, is := f.(*protocol.Subscribed); is {
				state = answer.State
			}
		}
		w.s.Do(&protocol.Subscribe{Ref: 2, Topic: test.topic, Attempt: 1, Pos: &mine, Last: 9})
		w.answer("Authorize", nil)
		c := w.next("Open")
		if c.asked.Pos != nil || c.asked.Last != 0 {
			t.Errorf("%s: the backend is asked for history: %+v", test.topic, c.asked)
		}
		c.began.Pos = test.end
		c.answer(nil)
		if state != test.want {
			t.Errorf("%s with %v: %q instead of %q", test.topic, test.who, state, test.want)
		}
	}
}

// X36: a part of a subscription whose right is taken away ends it, so the client subscribes
// again and gets the rest. It does not matter how the right is taken away, or when.
func TestAFeedEndsWithItsRight(t *testing.T) {
	all := protocol.Subscribe{Ref: 2, Topic: "a", Attempt: 1}
	presence, read, behind := all, all, all
	presence.Presence, read.Kinds, behind.Pos = true, []string{protocol.KindTyping, protocol.KindRead}, &protocol.Position{Epoch: "e", ID: "x"}
	last := all
	last.Last = 5
	typing := all
	typing.Kinds = []string{protocol.KindTyping}
	for _, test := range []struct {
		name    string
		command protocol.Subscribe
		taken   rules.Right
		opening bool // an answer that is under way is refused
		open    bool // a subscription that is open is ended
	}{
		{"presence", presence, rules.Presence, true, true},
		{"read positions", read, rules.Presence, true, true},
		{"messages that follow", behind, rules.History, true, true},
		{"messages in the answer", last, rules.History, true, false},
		{"presence, without history", presence, rules.History, false, false},
		{"typing", typing, rules.Presence, false, false},
		{"nothing", all, rules.Presence, false, false},
	} {
		takeAway := func(w *world) { w.setRules(map[rules.Right]rules.Who{test.taken: rules.Nobody}) }
		open := func() (*world, *call) {
			w := newWorld(t).connect()
			w.s.Do(&test.command)
			w.answer("Authorize", nil)
			c := w.next("Open")
			c.began.More = c.asked.Pos != nil
			w.got = nil
			return w, c
		}
		t.Run(test.name, func(t *testing.T) {
			w, c := open()
			takeAway(w)
			c.answer(nil)
			if test.opening {
				w.want("stop 1", "forbidden ref=2")
			} else {
				w.want("subscribed ref=2 attempt=1", "start 1")
			}
			w, c = open()
			c.answer(nil)
			w.got = nil
			takeAway(w)
			retry := protocol.Never
			w.sent = func(f protocol.Frame) { retry = f.(*protocol.Unsubscribed).Retry }
			w.s.Review()
			if !test.open {
				w.want()
				return
			}
			w.want("stop 1", "unsubscribed attempt=1 forbidden")
			if retry != protocol.Later {
				t.Errorf("what the client may still have is not had by retry %q", retry)
			}
		})
	}
}

// X36: a topic token with fewer rights, and the end of one, take away what it granted.
func TestATopicTokenTakesItsFeedsAlong(t *testing.T) {
	open := func() *world {
		w := newWorld(t).connect()
		w.setRules(map[rules.Right]rules.Who{rules.Presence: rules.Granted})
		w.s.Do(&protocol.Subscribe{Ref: 2, Topic: "a", Attempt: 1, Presence: true, Token: "t"})
		c := w.next("Authorize")
		c.grant = &session.Grant{Rights: rules.RightsOf(rules.Presence), Expires: w.now.Add(time.Minute)}
		c.answer(nil)
		w.answer("Open", nil)
		w.got = nil
		return w
	}
	w := open()
	w.s.Do(&protocol.Refresh{Ref: 3, Topic: "a", Attempt: 1, Token: "less"})
	w.answer("Authorize", nil)
	w.want("call Authorize", "refreshed ref=3", "stop 1", "unsubscribed attempt=1 forbidden")

	w = open()
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want("stop 1", "unsubscribed attempt=1 token_expired")
}
