package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// world is a session with a backend that answers when the test says so, and a client
// that keeps what it got.
type world struct {
	t      testing.TB
	now    time.Time
	config session.Config
	s      *session.Session
	rules  *rules.Rules
	got    []string // what was sent and called since the last look, in order
	calls  []*call  // not answered yet
	admit  error
	waited func(protocol.Command) error
	live   []*delivery // started and not stopped
	opened int
	held   []*session.Grant // answered and not released
	sent   func(protocol.Frame)
	atOnce bool   // the backend answers before its methods return
	unfit  string // frames of this type cannot be encoded
}

// call is one call of the backend. answer finishes it; with an error, by that.
type call struct {
	name   string
	answer func(err error)
	who    session.Identity     // what Connect and Refresh answer
	grant  *session.Grant       // what Authorize answers
	author string               // what Author answers
	asked  *protocol.Subscribe  // what Open was given
	wanted func() bool          // too
	began  *protocol.Subscribed // what Open answers
}

// delivery is a subscription of the backend.
type delivery struct {
	w       *world
	topic   string
	attempt uint32
}

func (d *delivery) Start() {
	d.w.note("start " + fmt.Sprint(d.attempt))
	d.w.live = append(d.w.live, d)
}

func (d *delivery) Stop() {
	d.w.note("stop " + fmt.Sprint(d.attempt))
	d.w.opened--
	d.w.live = slices.DeleteFunc(d.w.live, func(other *delivery) bool { return other == d })
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Unix(1764329600, 0)}
	w.setRules(nil)
	w.config = session.Config{
		Rules: func() *rules.Rules { return w.rules }, Now: func() time.Time { return w.now },
		Limits: protocol.DefaultLimits(), Ping: 25 * time.Second, ConnectWithin: 10 * time.Second,
	}
	w.s = session.New(&w.config, w, w)
	return w
}

// Arrived and Waited are the rates.
func (w *world) Arrived(protocol.Command) error { return w.admit }

func (w *world) Waited(c protocol.Command) error {
	if w.waited == nil {
		return nil
	}
	return w.waited(c)
}

// setRules sets the rules of all topics to the default ones with some changes. Topics
// of the namespace "private" need a grant to subscribe; "plain" has no history.
func (w *world) setRules(changes map[rules.Right]rules.Who) {
	open := rules.Default()
	for right, who := range changes {
		open.Who[right] = who
	}
	private, plain := rules.Default(), rules.Default()
	private.Who[rules.Subscribe] = rules.Granted
	plain.HistorySize, plain.HistoryAge = 0, 0
	all, err := rules.New(map[string]rules.Namespace{"": open, "private": private, "plain": plain})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rules = all
}

func (w *world) note(what string) { w.got = append(w.got, what) }

// Send and Close are what goes to the client.
func (w *world) Send(f protocol.Frame) error {
	w.t.Helper()
	if w.unfit != "" && protocol.NameOf(f) == w.unfit {
		return errUnknown
	}
	text, err := protocol.JSON.Append(nil, f)
	if err != nil {
		w.t.Fatal(err)
	}
	w.note(brief(string(text), f))
	if w.sent != nil {
		w.sent(f)
	}
	return nil
}

// brief is a frame in few words: type, code, ref and attempt.
func brief(text string, f protocol.Frame) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, `{"type":"`), `"`)
	switch f := f.(type) {
	case *protocol.Error:
		return fmt.Sprintf("%s ref=%d", string(f.Code), f.Ref)
	case *protocol.Subscribed:
		return fmt.Sprintf("subscribed ref=%d attempt=%d", f.Ref, f.Attempt)
	case *protocol.Unsubscribed:
		if f.Ref == 0 {
			return fmt.Sprintf("unsubscribed attempt=%d %s", f.Attempt, string(f.Code))
		}
		return fmt.Sprintf("unsubscribed ref=%d attempt=%d", f.Ref, f.Attempt)
	case interface{ Answers() protocol.Ref }:
		return fmt.Sprintf("%s ref=%d", name, f.Answers())
	}
	return name
}

func (w *world) Close(status protocol.CloseCode, last *protocol.Closing) {
	w.note(fmt.Sprintf("close %d %s", status, string(last.Code)))
}

func (w *world) called(c *call) {
	w.note("call " + c.name)
	if w.atOnce {
		c.answer(nil)
		return
	}
	w.calls = append(w.calls, c)
}

func (w *world) Connect(_ *protocol.Connect, done func(session.Identity, session.Entry, error)) {
	c := &call{name: "Connect", who: session.Identity{User: "ann"}}
	in := session.Entry{Session: "s1", State: protocol.Fresh}
	c.answer = func(err error) { done(c.who, in, err) }
	w.called(c)
}

func (w *world) Refresh(_ *session.Identity, _ string, done func(session.Identity, error)) {
	c := &call{name: "Refresh", who: session.Identity{User: "ann"}}
	c.answer = func(err error) { done(c.who, err) }
	w.called(c)
}

func (w *world) Authorize(_ *session.Identity, _, _ string, done func(*session.Grant, error)) {
	c := &call{name: "Authorize", grant: &session.Grant{}}
	c.answer = func(err error) {
		if err == nil {
			w.grant(c.grant)
		}
		done(c.grant, err)
	}
	w.called(c)
}

// grant notes a grant until it is released, which has to be once.
func (w *world) grant(g *session.Grant) {
	w.held = append(w.held, g)
	g.Release = func() {
		before := len(w.held)
		w.held = slices.DeleteFunc(w.held, func(other *session.Grant) bool { return other == g })
		if len(w.held) != before-1 {
			w.t.Error("a grant is released twice")
		}
	}
}

func (w *world) Open(_ *session.Identity, asked *protocol.Subscribe, wanted func() bool, done func(session.Opened, error)) {
	c := &call{name: "Open", asked: asked, wanted: wanted, began: &protocol.Subscribed{State: protocol.Fresh}}
	c.answer = func(err error) {
		o := session.Opened{Answer: *c.began}
		if err == nil {
			w.opened++
			o.Delivery = &delivery{w, asked.Topic, asked.Attempt}
		}
		done(o, err)
	}
	w.called(c)
}

func (w *world) Author(_ string, _ protocol.Target, done func(string, error)) {
	c := &call{name: "Author", author: "ann"}
	c.answer = func(err error) { done(c.author, err) }
	w.called(c)
}

func (w *world) Publish(_ *session.Identity, p *protocol.Publish, _ string, _ func() error, done func(*protocol.Published, error)) {
	w.called(&call{name: "Publish " + p.ID, answer: func(err error) { done(&protocol.Published{}, err) }})
}

func (w *world) History(h *protocol.History, done func(*protocol.Page, error)) {
	w.called(&call{name: fmt.Sprint("History ", h.Limit), answer: func(err error) { done(&protocol.Page{}, err) }})
}

func (w *world) Members(m *protocol.GetPresence, done func(*protocol.Members, error)) {
	w.called(&call{name: fmt.Sprint("Members ", m.Limit), answer: func(err error) { done(&protocol.Members{}, err) }})
}

func (w *world) Set(topic, kind, key string, data protocol.Data) error {
	w.note(fmt.Sprintf("call Set %s %s %s", kind, key, data))
	return nil
}

func (w *world) Read(_ *session.Identity, _ protocol.Command, done func(*protocol.MarkerIs, error)) {
	w.called(&call{name: "Read", answer: func(err error) { done(&protocol.MarkerIs{}, err) }})
}

// answer finishes the oldest call, which has to be this one.
func (w *world) answer(name string, err error) {
	w.t.Helper()
	w.next(name).answer(err)
}

// next takes the oldest call, which has to be this one.
func (w *world) next(name string) *call {
	w.t.Helper()
	if len(w.calls) == 0 || !strings.HasPrefix(w.calls[0].name, name) {
		w.t.Fatalf("%s is not what is called first: %v", name, w.calls)
	}
	c := w.calls[0]
	w.calls = w.calls[1:]
	return c
}

// want compares what was sent and called since the last look.
func (w *world) want(all ...string) {
	w.t.Helper()
	if !slices.Equal(w.got, all) {
		w.t.Errorf("got  %q\nwant %q", w.got, all)
	}
	w.got = nil
}

// connect connects and looks away.
func (w *world) connect() *world {
	w.s.Do(&protocol.Connect{Ref: 1, Version: 1})
	w.answer("Connect", nil)
	w.got = nil
	return w
}

// subscribe subscribes, is answered, and looks away.
func (w *world) subscribe(topic string, attempt uint32) *world {
	w.t.Helper()
	w.s.Do(&protocol.Subscribe{Ref: 2, Topic: topic, Attempt: attempt})
	w.answer("Authorize", nil)
	w.answer("Open", nil)
	if len(w.live) == 0 {
		w.t.Fatalf("not subscribed to %q: %q", topic, w.got)
	}
	w.got = nil
	return w
}
