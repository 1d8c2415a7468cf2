package session_test

import (
	"errors"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

var errUnknown = errors.New("secret: what the database said")

func sub(ref protocol.Ref, attempt uint32) *protocol.Subscribe {
	return &protocol.Subscribe{Ref: ref, Topic: "a", Attempt: attempt}
}

func unsub(ref protocol.Ref, attempt uint32) *protocol.Unsubscribe {
	return &protocol.Unsubscribe{Ref: ref, Topic: "a", Attempt: attempt}
}

// The answer comes in front of everything that is delivered.
func TestDeliveryBeginsBehindTheAnswer(t *testing.T) {
	w := newWorld(t).connect()
	w.s.Do(sub(2, 1))
	w.answer("Authorize", nil)
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "subscribed ref=2 attempt=1", "start 1")
}

// A command whose answer cannot be encoded is answered once, by internal, and the connection
// goes on.
func TestAnswerThatCannotBeEncodedIsInternal(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1)
	w.unfit = "page"
	w.s.Do(&protocol.History{Ref: 5, Topic: "a"})
	w.answer("History", nil)
	w.want("call History 100", "internal ref=5")
	w.unfit = "subscribed"
	w.s.Do(sub(6, 2))
	w.answer("Authorize", nil)
	w.answer("Open", nil)
	w.want("stop 1", "call Authorize", "call Open", "stop 2", "internal ref=6")
	w.unfit = ""
	w.s.Do(sub(7, 3))
	w.answer("Authorize", nil)
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "subscribed ref=7 attempt=3", "start 3")
}

// X17: subscribe, unsubscribe, subscribe, before anything was answered. What was
// opened for the first attempt ends unseen, whenever it is opened.
func TestALaterAttemptReplacesAnEarlierOne(t *testing.T) {
	w := newWorld(t).connect()
	w.s.Do(sub(2, 1))
	w.answer("Authorize", nil)
	w.s.Do(unsub(3, 1))
	w.s.Do(sub(4, 2))
	w.want("call Authorize", "call Open", "stale ref=2", "unsubscribed ref=3 attempt=1", "call Authorize")
	first := w.calls[0]
	w.answer("Open", nil)
	w.want("stop 1")
	w.answer("Authorize", nil)
	if first.wanted() || !w.calls[0].wanted() {
		t.Errorf("the first attempt is wanted: %v, the second: %v", first.wanted(), w.calls[0].wanted())
	}
	w.answer("Open", nil)
	w.want("call Open", "subscribed ref=4 attempt=2", "start 2")

	w = newWorld(t).connect()
	w.s.Do(sub(2, 1))
	w.answer("Authorize", nil)
	w.s.Do(sub(4, 2))
	w.answer("Open", errUnknown) // of the first
	w.answer("Authorize", nil)
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "stale ref=2", "call Authorize", "call Open", "subscribed ref=4 attempt=2", "start 2")
}

// X17: an unsubscribe that is late does not end a later attempt.
func TestAnUnsubscribeEndsItsOwnAttempt(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1)
	w.s.Do(sub(4, 2))
	w.answer("Authorize", nil)
	w.answer("Open", nil)
	w.s.Do(unsub(5, 1))
	w.want("stop 1", "call Authorize", "call Open", "subscribed ref=4 attempt=2", "start 2", "unsubscribed ref=5 attempt=1")
}

// X36: the service ends a subscription, also one that is being opened, and says why.
func TestTheServiceEndsSubscriptions(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1)
	if !w.s.Unsubscribe("a", 0, protocol.Forbidden) || w.s.Unsubscribe("a", 0, protocol.Forbidden) {
		t.Error("there was one, and then none")
	}
	w.want("stop 1", "unsubscribed attempt=1 forbidden")
	w.s.Do(&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Data: protocol.Data("1")})
	w.s.Do(&protocol.History{Ref: 10, Topic: "a"})
	w.want("not_subscribed ref=9", "not_subscribed ref=10")

	for _, answered := range []int{0, 1} {
		w := newWorld(t).connect()
		w.s.Do(sub(2, 1))
		if answered == 1 {
			w.answer("Authorize", nil)
		}
		w.got = nil
		w.s.Unsubscribe("a", 0, protocol.Forbidden)
		w.want("forbidden ref=2")
		w.calls[0].answer(nil)
		if answered == 1 {
			w.want("stop 1")
		} else {
			w.want()
		}
	}

	w = newWorld(t).connect().subscribe("a", 2)
	if w.s.Unsubscribe("a", 1, protocol.Unavailable) {
		t.Error("another attempt was ended")
	}
	w.want()
}

// X36: a page that is being read, and publishes that wait, when the right is taken
// away.
func TestWhatIsUnderWayLosesItsRight(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1)
	w.s.Do(&protocol.History{Ref: 3, Topic: "a"})
	w.s.Do(&protocol.GetPresence{Ref: 4, Topic: "a"})
	w.s.Do(&protocol.Publish{Ref: 5, Topic: "a", ID: "p1", Data: protocol.Data("1")})
	w.s.Do(&protocol.Publish{Ref: 6, Topic: "a", ID: "p2", Data: protocol.Data("1")})
	w.s.Do(&protocol.Publish{Ref: 7, Topic: "a", ID: "p3", Kind: "delete", Target: target})
	w.s.Unsubscribe("a", 0, protocol.Forbidden)
	w.got = nil
	w.answer("History", nil)
	w.answer("Members", nil)
	w.answer("Publish p1", nil)
	w.want("not_subscribed ref=3", "not_subscribed ref=4", "published ref=5", "not_subscribed ref=6", "not_subscribed ref=7")
	if len(w.calls) != 0 {
		t.Errorf("the backend is asked: %v", w.calls[0].name)
	}
}

// A subscribe gets what the user has a right to, and no more.
func TestASubscribeAsksForWhatIsAllowed(t *testing.T) {
	all := &protocol.Subscribe{Ref: 2, Topic: "a", Attempt: 1, Last: 1000, Presence: true, Token: "secret", Kinds: []string{"typing"}}
	for _, test := range []struct {
		who      map[rules.Right]rules.Who
		last     int
		presence bool
	}{
		{nil, 100, true},
		{map[rules.Right]rules.Who{rules.History: rules.Nobody}, 0, true},
		{map[rules.Right]rules.Who{rules.Presence: rules.Granted}, 100, false},
	} {
		w := newWorld(t).connect()
		w.setRules(test.who)
		w.s.Do(all)
		w.answer("Authorize", nil)
		asked := w.next("Open").asked
		if asked.Last != test.last || asked.Presence != test.presence || asked.Token != "" || len(asked.Kinds) != 1 {
			t.Errorf("%v: %#v", test.who, asked)
		}
	}
	if all.Token == "" || all.Last != 1000 {
		t.Error("the command was changed")
	}
}

// Who has no right to subscribe is refused before anything is opened.
func TestSubscribesWithoutARightAreRefused(t *testing.T) {
	for _, test := range []struct {
		topic string
		who   map[rules.Right]rules.Who
		want  string
	}{
		{"private:a", nil, "forbidden ref=2"},
		{"a", map[rules.Right]rules.Who{rules.Subscribe: rules.Nobody}, "forbidden ref=2"},
	} {
		w := newWorld(t).connect()
		w.setRules(test.who)
		w.s.Do(&protocol.Subscribe{Ref: 2, Topic: test.topic, Attempt: 1})
		w.answer("Authorize", nil)
		w.want("call Authorize", test.want)
	}
	w := newWorld(t).connect()
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: "nowhere:a", Attempt: 1, Token: "t"})
	w.want("unknown_topic ref=2") // nobody is asked
	w = newWorld(t).connect()
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: "private:a", Attempt: 1})
	c := w.next("Authorize")
	c.grant.Rights = rules.RightsOf(rules.Subscribe)
	c.answer(nil)
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "subscribed ref=2 attempt=1", "start 1")
}

// A user who may not change a message of another learns so, and nothing is stored.
func TestMessagesOfOthersAreLookedUpFirst(t *testing.T) {
	for author, want := range map[string]string{"ann": "call Publish p", "bob": "forbidden ref=9", "": "forbidden ref=9"} {
		w := newWorld(t).connect().subscribe("a", 1)
		w.s.Do(&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Kind: "delete", Target: target})
		c := w.next("Author")
		c.author = author
		c.answer(nil)
		w.want("call Author", want)
	}
	w := newWorld(t).connect().subscribe("a", 1)
	w.s.Do(&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Kind: "delete", Target: target})
	w.answer("Author", protocol.BadTarget)
	w.want("call Author", "bad_target ref=9")
	w.setRules(map[rules.Right]rules.Who{rules.Delete: rules.Nobody})
	w.s.Do(&protocol.Publish{Ref: 9, Topic: "a", ID: "p", Kind: "delete", Target: target})
	w.want("forbidden ref=9")
}

// A connection has as many topics as the limit says; one more is refused, and another
// attempt for one of them is not one more.
func TestTopicsAreLimited(t *testing.T) {
	w := newWorld(t)
	w.config.Limits.Topics = 2
	w.connect().subscribe("a", 1).subscribe("b", 2)
	w.s.Do(&protocol.Subscribe{Ref: 3, Topic: "c", Attempt: 3})
	w.want("too_many_topics ref=3")
	w.s.Do(&protocol.Subscribe{Ref: 4, Topic: "b", Attempt: 4})
	w.want("stop 2", "call Authorize")
	w.s.Do(&protocol.Unsubscribe{Ref: 5, Topic: "a", Attempt: 1})
	w.s.Do(&protocol.Subscribe{Ref: 6, Topic: "c", Attempt: 5})
	w.want("stop 1", "unsubscribed ref=5 attempt=1", "call Authorize")
}

// A topic token that was checked too late is of no use, and its answer says so.
func TestARefreshOfAnEndedAttemptIsStale(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1)
	w.s.Do(&protocol.Refresh{Ref: 3, Topic: "a", Attempt: 1, Token: "t"})
	w.s.Do(unsub(4, 1))
	w.got = nil
	w.answer("Authorize", nil)
	w.want("stale ref=3")
}

// The end of a connection stops everything, whatever state it is in.
func TestTheEndStopsEverything(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1).subscribe("b", 2)
	w.s.Do(&protocol.Subscribe{Ref: 3, Topic: "c", Attempt: 3})
	w.answer("Authorize", nil)
	w.s.End()
	w.s.End()
	w.answer("Open", nil)
	if w.opened != 0 || len(w.live) != 0 {
		t.Errorf("%d are open, %d live", w.opened, len(w.live))
	}
	w.want("call Authorize", "call Open", "stop 1", "stop 2", "stop 3")
}
