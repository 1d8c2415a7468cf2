package service_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// held is a node whose questions to the store are asked one by one, in any order.
type held struct {
	t     *testing.T
	ctx   context.Context
	s     *service.Service
	queue <-chan func()
	jobs  []func()
}

func hold(t *testing.T) *held {
	s, ctx := start(t, func(c *config.Config) {
		c.Limits.User, c.Limits.Address = config.Per{}, config.Per{}
		c.Namespaces["plain"] = plainOf(c)
	})
	return &held{t: t, ctx: ctx, s: s, queue: service.Hold(s)}
}

// gather takes the questions that wait.
func (h *held) gather() {
	for len(h.queue) > 0 {
		h.jobs = append(h.jobs, <-h.queue)
	}
}

// ask asks any question, and returns when its answer has arrived in its turn.
func (h *held) ask(r *rand.Rand) {
	if len(h.jobs) == 0 {
		return
	}
	i := r.IntN(len(h.jobs))
	job := h.jobs[i]
	h.jobs = slices.Delete(h.jobs, i, i+1)
	job()
	service.Turned(h.ctx, h.s, "ann")
}

// connect connects ann.
func (h *held) connect() *client {
	ann := dial(h.t, h.ctx, h.s, protocol.JSON)
	ann.send(&protocol.Connect{Ref: 1, Version: protocol.Version, User: "ann"})
	select {
	case job := <-h.queue:
		job()
	case <-h.ctx.Done():
	}
	await[*protocol.Connected](ann)
	return ann
}

// replacing is a client that subscribes to a topic again and again.
type replacing struct {
	*client
	topic   string
	attempt uint32
	last    *protocol.Subscribe // nil: it unsubscribed since
}

// carriedOut returns when the node has carried out what was sent before.
func (c *replacing) carriedOut() {
	c.t.Helper()
	c.send(&protocol.Ping{Ref: 1})
	for {
		if _, is := c.next().(*protocol.Pong); is {
			return
		}
	}
}

// subscribe asks for this and that, by chance.
func (c *replacing) subscribe(r *rand.Rand) {
	c.attempt++
	s := &protocol.Subscribe{Ref: protocol.Ref(1 + c.attempt), Topic: c.topic, Attempt: c.attempt, Last: r.IntN(2), Presence: r.IntN(2) == 0}
	for _, kind := range []string{protocol.KindTyping, "cursor"} {
		if r.IntN(2) == 0 {
			s.Kinds = append(s.Kinds, kind)
		}
	}
	if r.IntN(6) == 0 {
		s.Mode = protocol.Passive
	}
	if r.IntN(12) == 0 {
		s.Kinds = append(s.Kinds, "unheard")
	}
	c.last = s
	c.send(s)
}

func (c *replacing) unsubscribe() {
	c.last = nil
	c.send(&protocol.Unsubscribe{Topic: c.topic, Attempt: c.attempt})
}

// step does one thing.
func (h *held) step(c *replacing, r *rand.Rand) {
	switch r.IntN(6) {
	case 0, 1:
		c.subscribe(r)
	case 2:
		c.unsubscribe()
	default:
		h.ask(r)
		return
	}
	c.carriedOut()
	h.gather()
}

// wanted are the kinds of frames that the last subscription asked for.
func (c *replacing) wanted() (kinds []string) {
	switch {
	case c.last == nil, slices.Contains(c.last.Kinds, "unheard") && c.last.Mode != protocol.Passive:
		return nil
	case c.topic == "plain:lobby":
		kinds = append(kinds, "plain")
	}
	if c.last.Mode == protocol.Passive {
		return nil
	}
	if c.last.Presence {
		kinds = append(kinds, "presence")
	}
	kinds = append(kinds, c.last.Kinds...)
	slices.Sort(kinds)
	return kinds
}

// X17: whatever the order is in which the store answers attempts that replace one another, what
// the last one asked for comes and nothing else, and nothing is left after the last unsubscribe.
func TestReplacedSubscriptionTakesNothingAlong(t *testing.T) {
	h := hold(t)
	ann := h.connect()
	attempt := uint32(0)
	seeds.Each(t, 60, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		c := &replacing{client: ann, topic: fmt.Sprint("room", seed), attempt: attempt}
		if seed%8 == 0 {
			c.topic = "plain:lobby"
		}
		for range 30 {
			h.step(c, r)
		}
		for len(h.jobs) > 0 {
			h.ask(r)
			h.gather()
		}
		want := c.wanted()
		if got := service.Shared(h.s, "ann", c.topic); !slices.Equal(got, want) {
			t.Errorf("%+v shares %q, want %q", c.last, got, want)
		} else {
			c.gets(h.s, want)
		}
		c.unsubscribe()
		c.carriedOut()
		if got := service.Shared(h.s, "ann", c.topic); len(got) > 0 {
			t.Errorf("after the last unsubscribe: %q", got)
		}
		if got := service.Opened(h.s); got != [6]int{} {
			t.Errorf("after the last unsubscribe %v are left", got)
		}
		attempt = c.attempt
	})
}

// gets returns when frames of all these kinds have come.
func (c *replacing) gets(s *service.Service, kinds []string) {
	const mark = 1 << 40
	service.Share(s, "presence", c.topic, &protocol.PresenceChange{Topic: c.topic, Seq: mark})
	for _, kind := range []string{protocol.KindTyping, "cursor"} {
		service.Share(s, kind, c.topic, &protocol.Values{Topic: c.topic, Kind: kind, Values: []protocol.Value{{Key: "mark"}}})
	}
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return kind == "plain" })
	for len(kinds) > 0 {
		kind := ""
		switch f := c.next().(type) {
		case *protocol.PresenceChange:
			if f.Seq == mark {
				kind = "presence"
			}
		case *protocol.Values:
			if len(f.Values) == 1 && f.Values[0].Key == "mark" {
				kind = f.Kind
			}
		}
		if i := slices.Index(kinds, kind); i >= 0 {
			kinds = slices.Delete(kinds, i, i+1)
		} else if kind != "" {
			c.t.Errorf("%s comes, which nobody asked for", kind)
		}
	}
}

// A connection that ends before the store has answered leaves nothing.
func TestSubscriptionsThatAreOpenedTooLateLeaveNothing(t *testing.T) {
	h := hold(t)
	ann := &replacing{client: h.connect(), topic: "lobby"}
	for attempt, mode := range []protocol.Mode{protocol.Live, protocol.Passive} {
		ann.send(&protocol.Subscribe{Ref: 2, Topic: fmt.Sprint("room", attempt), Attempt: uint32(attempt + 1), Presence: true, Kinds: []string{protocol.KindTyping}, Mode: mode})
	}
	ann.carriedOut()
	h.gather()
	ann.ws.CloseNow()
	for sessions := 1; sessions > 0; {
		if h.ctx.Err() != nil {
			t.Fatal("the connection does not end")
		}
		all, err := h.s.User(h.ctx, "ann")
		if err != nil {
			t.Fatal(err)
		}
		sessions = len(all)
	}
	for len(h.jobs) > 0 {
		h.ask(rand.New(rand.NewPCG(1, 1)))
	}
	if got := service.Opened(h.s); got != [6]int{} {
		t.Errorf("%v are left", got)
	}
}
