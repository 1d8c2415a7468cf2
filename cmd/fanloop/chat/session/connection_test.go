package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// Publishes of a topic are stored one behind the other, those of others meanwhile.
func TestPublishesKeepTheirOrder(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1).subscribe("b", 2)
	for i, topic := range []string{"a", "a", "b", "a"} {
		w.s.Do(&protocol.Publish{Ref: protocol.Ref(10 + i), Topic: topic, ID: fmt.Sprint("p", i), Data: protocol.Data("1")})
	}
	w.want("call Publish p0", "call Publish p2")
	w.answer("Publish p0", protocol.Unavailable)
	w.want("unavailable ref=10", "call Publish p1")
	w.answer("Publish p2", nil)
	w.answer("Publish p1", nil)
	w.want("published ref=12", "published ref=11", "call Publish p3")
	w.answer("Publish p3", nil)
	w.s.Do(&protocol.Publish{Topic: "a", ID: "p4", Data: protocol.Data("1")})
	w.answer("Publish p4", nil) // without a ref there is no answer
	w.want("published ref=13", "call Publish p4")
}

// Whatever is wrong with the first connect ends the connection: it says what, and a client
// need not look which part of the server found it. A second connect ends nothing.
func TestAConnectThatFailsEndsTheConnection(t *testing.T) {
	long := strings.Repeat("x", 200)
	for frame, want := range map[string][]string{
		`{"type":"connect","ref":1,"version":2}`:                                        {"unsupported_version ref=1", "close 4406 unsupported_version"},
		`{"type":"connect","ref":1,"version":1,"user":"a\u202e"}`:                       {"bad_name ref=1", "close 4499 bad_name"},
		`{"type":"connect","ref":1,"version":1,"session":"` + long + `"}` + "\n" + `{}`: {"bad_field ref=1", "close 4499 bad_field"},
		`{"type":"connect","ref":1,"version":1,"ref":2}`:                                {"bad_frame ref=0", "close 4400 bad_frame"},
		`{"type":"subscribe","ref":1,"topic":"","attempt":1}`:                           {"bad_name ref=1"},
	} {
		w := newWorld(t)
		w.s.Receive(protocol.JSON, []byte(frame))
		w.want(want...)
	}
	w := newWorld(t).connect()
	w.s.Receive(protocol.JSON, []byte(`{"type":"connect","ref":7,"version":1,"user":"a\u202e"}`))
	w.want("bad_name ref=7")
}

// A backend may answer before its methods return.
func TestBackendsMayAnswerAtOnce(t *testing.T) {
	w := newWorld(t)
	w.atOnce = true
	w.s.Receive(protocol.JSON, []byte(`{"type":"connect","ref":1,"version":1}
{"type":"subscribe","ref":2,"topic":"a","attempt":1}
{"type":"publish","ref":3,"topic":"a","id":"p1","data":1}
{"type":"publish","ref":4,"topic":"a","id":"p2","kind":"delete","target":{"offset":"5","id":"x"}}
{"type":"history","ref":5,"topic":"a"}
{"type":"presence","ref":6,"topic":"a"}
{"type":"read","ref":7,"topic":"a","pos":{"epoch":"e","offset":"5","id":"x"}}
{"type":"refresh","ref":8,"token":"t"}
{"type":"refresh","ref":9,"token":"t","topic":"a","attempt":1}
{"type":"subscribe","ref":10,"topic":"a","attempt":2}`))
	w.want("call Connect", "connected ref=1", "call Authorize", "call Open", "subscribed ref=2 attempt=1", "start 1",
		"call Publish p1", "published ref=3", "call Author", "call Publish p2", "published ref=4", "call History 100", "page ref=5",
		"call Members 100", "members ref=6", "call Read", "marker ref=7", "call Refresh", "refreshed ref=8", "call Authorize", "refreshed ref=9",
		"stop 1", "call Authorize", "call Open", "subscribed ref=10 attempt=2", "start 2")
}

// What waits is bounded, while connecting and later, and what is over is refused.
func TestWhatWaitsIsBounded(t *testing.T) {
	w := newWorld(t)
	w.config.Limits.Burst = 256
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	for range 300 {
		w.s.Do(&protocol.Publish{Ref: 3, Topic: "a", ID: "p", Data: protocol.Data("1")})
	}
	if n := len(w.got); n != 1+300-256 || w.got[n-1] != "overloaded ref=3" {
		t.Errorf("%d are refused, the last with %s", n-1, w.got[n-1])
	}
	w = newWorld(t).connect().subscribe("a", 1)
	w.config.Limits.Burst = 256
	for range 300 {
		w.s.Do(&protocol.Publish{Ref: 3, Topic: "a", ID: "p", Data: protocol.Data("1")})
	}
	if n := len(w.got); n != 1+300-256 || len(w.calls) != 1 {
		t.Errorf("%d are refused, %d are under way", n-1, len(w.calls))
	}
	for range 256 {
		w.answer("Publish", nil)
	}
	w.got = nil
	w.s.Do(&protocol.Publish{Ref: 3, Topic: "a", ID: "p", Data: protocol.Data("1")})
	w.want("call Publish p")
}

// What is over the rate is answered with the delay, and not carried out; who goes on
// regardless is closed.
func TestFloodsAreRefusedAndClosed(t *testing.T) {
	w := newWorld(t).connect()
	w.config.Limits.Burst, w.config.Limits.Topics = 3, 3
	limited := protocol.Fail(nil, protocol.RateLimited, "")
	limited.Delay = 500
	w.admit = limited
	w.s.Do(&protocol.Ping{Ref: 1})
	w.s.Do(&protocol.Ping{Ref: 2})
	w.admit = nil
	w.s.Do(&protocol.Ping{Ref: 3})
	w.s.Do(&protocol.Ping{Ref: 3})
	w.admit = limited
	w.s.Do(&protocol.Ping{Ref: 4})
	w.s.Receive(protocol.JSON, []byte(`{"type":"nonsense","ref":5}`+"\n"+`{"type":"ping","ref":6}`+"\n"+`{"type":"ping","ref":7}`+"\n"+`{"type":"ping","ref":8}`+"\n"+`{"type":"nonsense","ref":9}`))
	w.want("rate_limited ref=1", "rate_limited ref=2", "pong ref=3", "pong ref=3", "rate_limited ref=4", "rate_limited ref=0", "rate_limited ref=6", "close 4029 rate_limited")
}

// Who goes on far over the rate is closed, though some of it is carried out all the time.
func TestFloodsAreClosedThoughSomeIsCarriedOut(t *testing.T) {
	w := newWorld(t).connect()
	w.config.Limits.Burst, w.config.Limits.Topics = 5, 3
	limited := protocol.Fail(nil, protocol.RateLimited, "")
	refused := 0
	for n := range 100 {
		if w.admit = limited; n%3 == 0 {
			w.admit = nil
		}
		w.got = nil
		w.s.Do(&protocol.Ping{Ref: 1})
		switch {
		case slices.Equal(w.got, []string{"close 4029 rate_limited"}):
			if refused != 9 { // less 4 of the 5 that were carried out
				t.Errorf("closed after %d", refused)
			}
			return
		case w.admit != nil:
			refused++
		}
	}
	t.Error("a flood is not closed")
}

// A message without a frame costs as much as a command, also before connect.
func TestMessagesWithoutAFrameCount(t *testing.T) {
	w := newWorld(t)
	w.config.Limits.Burst, w.config.Limits.Topics = 3, 3
	w.s.Receive(protocol.JSON, nil)
	w.s.Receive(protocol.JSON, []byte("\n \r\n"))
	w.want()
	w.admit = protocol.Fail(nil, protocol.RateLimited, "")
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR, protocol.JSON, protocol.CBOR, protocol.JSON} {
		w.s.Receive(e, nil)
	}
	w.want("rate_limited ref=0", "rate_limited ref=0", "rate_limited ref=0", "close 4029 rate_limited")
}

// Who subscribes to all topics at once, while connecting too, has not gone on regardless:
// each subscribe is carried out or has its own answer, however small the burst is.
func TestAllTopicsMayComeAtOnce(t *testing.T) {
	all := func(w *world) {
		w.config.Limits.Burst = 3
		for n := range w.config.Limits.Topics {
			w.s.Do(&protocol.Subscribe{Ref: protocol.Ref(n + 2), Topic: fmt.Sprint("room", n), Attempt: uint32(n + 1)})
		}
	}
	w := newWorld(t)
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	w.got = nil
	all(w)
	if len(w.got) > 0 {
		t.Errorf("%d answers while connecting", len(w.got))
	}
	w = newWorld(t).connect()
	limited := protocol.Fail(nil, protocol.RateLimited, "")
	w.admit = limited
	all(w)
	if n := len(w.got); n != w.config.Limits.Topics || w.got[n-1] != fmt.Sprint("rate_limited ref=", n+1) {
		t.Errorf("%d answers, the last %s", n, w.got[n-1])
	}
}

// What is malformed ends the connection, and nothing behind it is carried out. What is
// only wrong is answered.
func TestMalformedMessagesEndTheConnection(t *testing.T) {
	w := newWorld(t).connect()
	w.s.Receive(protocol.JSON, []byte(`{"type":"history","ref":2}`+"\n"+`{"type":"ping","ref":3}`+"\n"+`{"type":"ping","ref":3,"ref":4}`+"\n"+`{"type":"ping","ref":5}`))
	w.want("bad_name ref=2", "pong ref=3", "bad_frame ref=0", "close 4400 bad_frame")
	w.s.Receive(protocol.JSON, []byte(`{"type":"ping","ref":6}`))
	w.want()

	w = newWorld(t)
	w.s.Receive(protocol.JSON, []byte(`{"type":"connect","ref":1,"version":2}`+"\n"+`{"type":"ping","ref":2}`))
	w.want("unsupported_version ref=1", "close 4406 unsupported_version")
}

// The rest of a message is not read when the connection ended within it.
func TestNothingIsAnsweredBehindTheEnd(t *testing.T) {
	w := newWorld(t).connect()
	w.sent = func(protocol.Frame) { w.s.Close(protocol.Draining, "") }
	w.s.Receive(protocol.JSON, []byte(`{"type":"ping","ref":2}`+"\n"+`{"type":"nonsense","ref":3}`+"\n"+`{"type":"ping","ref":4}`))
	w.want("pong ref=2", "close 4000 draining")
}

// Who is not let in learns why, by a frame and by the status.
func TestConnectionsThatAreRefused(t *testing.T) {
	for err, want := range map[error][]string{
		protocol.Unauthorized: {"unauthorized ref=1", "close 4401 unauthorized"},
		protocol.TokenExpired: {"token_expired ref=1", "close 4300 token_expired"},
		protocol.Forbidden:    {"forbidden ref=1", "close 4499 forbidden"},
		protocol.Unavailable:  {"unavailable ref=1", "close 1011 unavailable"},
		errUnknown:            {"internal ref=1", "close 1011 internal"},
	} {
		w := newWorld(t)
		w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
		w.s.Do(&protocol.Ping{Ref: 2})
		w.got = nil
		w.answer("Connect", err)
		w.want(want...)
	}
}

// X37: who is revoked while the token is being checked is not let in afterwards.
func TestRevokedWhileConnecting(t *testing.T) {
	w := newWorld(t)
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	w.s.Close(protocol.Revoked, "")
	w.answer("Connect", nil)
	w.want("call Connect", "close 4403 revoked")
	if w.s.User() != "" {
		t.Error("connected")
	}
}

// A connection without a first command is closed in time, and not after it.
func TestConnectInTime(t *testing.T) {
	w := newWorld(t)
	begin := w.now
	if got := w.s.Deadline(); !got.Equal(begin.Add(10 * time.Second)) {
		t.Errorf("%v", got.Sub(begin))
	}
	w.now = begin.Add(10*time.Second - 1)
	w.s.Expire()
	w.want()
	w.now = begin.Add(10 * time.Second)
	w.s.Expire()
	w.s.Expire()
	w.want("close 4002 no_connect")

	w = newWorld(t).connect()
	if got := w.s.Deadline(); !got.IsZero() {
		t.Errorf("%v", got)
	}
	w.now = w.now.Add(time.Hour)
	w.s.Expire()
	w.want()
}

// connectUntil connects with a token that ends in a minute.
func connectUntil(t *testing.T) *world {
	w := newWorld(t)
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	c := w.next("Connect")
	c.who.Expires = w.now.Add(time.Minute)
	c.answer(nil)
	w.got = nil
	return w
}

// The client is told when its token expires; the connection lasts longer by the grace, as
// the clocks of the backend, the node and the client differ.
func TestTTLIsWithoutGrace(t *testing.T) {
	w := newWorld(t)
	var told []int64
	w.sent = func(f protocol.Frame) {
		switch f := f.(type) {
		case *protocol.Connected:
			told = append(told, f.TTL)
		case *protocol.Refreshed:
			told = append(told, f.TTL)
		case *protocol.Subscribed:
			told = append(told, f.TTL)
		}
	}
	who := session.Identity{User: "ann", Expires: w.now.Add(15 * time.Minute), Grace: 30 * time.Second}
	grant := func() *session.Grant {
		return &session.Grant{Rights: rules.RightsOf(rules.Subscribe), Expires: w.now.Add(5 * time.Minute), Grace: 30 * time.Second}
	}
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	c := w.next("Connect")
	c.who = who
	c.answer(nil)
	w.s.Do(&protocol.Refresh{Ref: 2, Token: "t"})
	c = w.next("Refresh")
	c.who = who
	c.answer(nil)
	w.s.Do(&protocol.Subscribe{Ref: 3, Topic: "private:a", Attempt: 1, Token: "t"})
	c = w.next("Authorize")
	c.grant = grant()
	c.answer(nil)
	w.answer("Open", nil)
	w.s.Do(&protocol.Refresh{Ref: 4, Topic: "private:a", Attempt: 1, Token: "t"})
	c = w.next("Authorize")
	c.grant = grant()
	c.answer(nil)
	if !slices.Equal(told, []int64{900_000, 900_000, 300_000, 300_000}) {
		t.Errorf("%v", told)
	}
	w.got, w.now = nil, w.now.Add(15*time.Minute+29*time.Second)
	w.s.Expire()
	w.want("stop 1", "unsubscribed attempt=1 token_expired")
	w.now = w.now.Add(time.Second)
	w.s.Expire()
	w.want("close 4300 token_expired")
}

// X21: a token that ends closes the connection; one that was refreshed does not, nor
// does one that is being refreshed.
func TestTokensExpire(t *testing.T) {
	w := connectUntil(t)
	if got := w.s.Deadline(); !got.Equal(w.now.Add(time.Minute)) {
		t.Errorf("%v", got)
	}
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want("close 4300 token_expired")

	w = connectUntil(t)
	w.s.Do(&protocol.Refresh{Ref: 2, Token: "t"})
	w.s.Do(&protocol.Refresh{Ref: 3, Token: "t"})
	w.want("call Refresh", "overloaded ref=3")
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want()
	c := w.next("Refresh")
	c.who.Expires = w.now.Add(time.Minute)
	c.answer(nil)
	w.s.Expire()
	w.want("refreshed ref=2")
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want("close 4300 token_expired")

	w = connectUntil(t)
	w.s.Do(&protocol.Refresh{Ref: 2, Token: "t"})
	w.now = w.now.Add(time.Minute + 10*time.Second)
	w.s.Expire()
	w.want("call Refresh", "close 4300 token_expired")
}

// A token that is refused changes nothing.
func TestARefreshThatIsRefusedChangesNothing(t *testing.T) {
	w := connectUntil(t)
	until := w.s.Deadline()
	w.s.Do(&protocol.Refresh{Ref: 2, Token: "t"})
	w.answer("Refresh", protocol.Unauthorized)
	w.want("call Refresh", "unauthorized ref=2")
	if got := w.s.Deadline(); !got.Equal(until) {
		t.Errorf("%v, was %v", got, until)
	}
}

// A new token with fewer rights ends the subscriptions that need them.
func TestARefreshReviewsTheSubscriptions(t *testing.T) {
	w := newWorld(t)
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	c := w.next("Connect")
	c.who.Grants = &rules.Grants{Topics: map[string]rules.Rights{"private:a": rules.RightsOf(rules.Subscribe)}}
	c.answer(nil)
	w.subscribe("private:a", 1).subscribe("b", 2)
	w.s.Do(&protocol.Refresh{Ref: 3, Token: "t"})
	w.answer("Refresh", nil)
	w.want("call Refresh", "refreshed ref=3", "stop 1", "unsubscribed attempt=1 forbidden")
}

// Rules that are replaced end what they do not allow.
func TestNewRulesAreReviewed(t *testing.T) {
	w := newWorld(t).connect().subscribe("a", 1)
	w.s.Review()
	w.want()
	w.setRules(map[rules.Right]rules.Who{rules.Subscribe: rules.Granted})
	w.s.Review()
	w.want("stop 1", "unsubscribed attempt=1 forbidden")
}

// grantedUntil subscribes to a private topic with a token that ends in a minute.
func grantedUntil(t *testing.T, topic string) *world {
	w := newWorld(t).connect()
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: topic, Attempt: 1, Token: "t"})
	c := w.next("Authorize")
	c.grant = &session.Grant{Rights: rules.RightsOf(rules.Subscribe), Expires: w.now.Add(time.Minute)}
	c.answer(nil)
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "subscribed ref=2 attempt=1", "start 1")
	return w
}

// A topic token that ends takes its rights with it, and the subscription where they
// are needed.
func TestTopicTokensExpire(t *testing.T) {
	w := grantedUntil(t, "private:a")
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want("stop 1", "unsubscribed attempt=1 token_expired")

	w = grantedUntil(t, "a") // anybody may
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want()

	w = grantedUntil(t, "private:a")
	w.s.Do(&protocol.Refresh{Ref: 3, Topic: "private:a", Attempt: 1, Token: "t2"})
	c := w.next("Authorize")
	c.grant = &session.Grant{Rights: rules.RightsOf(rules.Subscribe), Expires: w.now.Add(2 * time.Minute)}
	c.answer(nil)
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.want("call Authorize", "refreshed ref=3")

	// One that ended while the subscription was opened is not let in.
	w = newWorld(t).connect()
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: "private:a", Attempt: 1, Token: "t"})
	c = w.next("Authorize")
	c.grant = &session.Grant{Rights: rules.RightsOf(rules.Subscribe), Expires: w.now.Add(time.Minute)}
	c.answer(nil)
	w.now = w.now.Add(time.Minute)
	w.s.Expire()
	w.answer("Open", nil)
	w.want("call Authorize", "call Open", "token_expired ref=2", "stop 1")
}

// The rights of a token end with it, to the moment.
func TestRightsEndWithTheirToken(t *testing.T) {
	w := newWorld(t).connect()
	w.setRules(map[rules.Right]rules.Who{rules.Publish: rules.Granted})
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: "a", Attempt: 1, Token: "t"})
	c := w.next("Authorize")
	c.grant = &session.Grant{Rights: rules.RightsOf(rules.Publish), Expires: w.now.Add(time.Minute)}
	c.answer(nil)
	w.answer("Open", nil)
	w.got = nil
	w.s.Do(&protocol.Publish{Ref: 3, Topic: "a", ID: "p1", Data: protocol.Data("1")})
	w.s.Do(&protocol.Publish{Ref: 4, Topic: "a", ID: "p2", Data: protocol.Data("1")})
	w.now = w.now.Add(time.Minute)
	w.answer("Publish p1", nil)
	w.want("call Publish p1", "published ref=3", "forbidden ref=4")
}

// The service is to hold 10 000 users in 4 KiB each, with everything.
func TestASessionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(session.Session{}); size > 160 {
		t.Errorf("%d bytes", size)
	}
}

// Commands that came before it was known who the client is count for the rate of the user as
// soon as that is known: those over it are refused, and not carried out.
func TestEarlyCommandsCountForTheUser(t *testing.T) {
	w := newWorld(t)
	left := 2
	w.waited = func(protocol.Command) error {
		if left--; left < 0 {
			return protocol.RateLimited
		}
		return nil
	}
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	for ref := range protocol.Ref(4) {
		w.s.Do(&protocol.Ping{Ref: 2 + ref})
	}
	w.answer("Connect", nil)
	w.want("call Connect", "connected ref=1", "pong ref=2", "pong ref=3", "rate_limited ref=4", "rate_limited ref=5")
}
