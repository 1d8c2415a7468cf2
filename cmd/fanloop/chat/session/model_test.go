package session_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// client keeps the rules that PROTOCOL.md has for subscriptions, of one topic. What
// it sends and gets is under way for a while.
type client struct {
	t       *testing.T
	ref     protocol.Ref
	attempt uint32
	wanted  bool // the application subscribed, and nobody ended it since
	deaf    bool // an answer with the attempt is to come
	on      bool // subscribed, as far as the client knows
	open    map[protocol.Ref]string
	toServe []protocol.Command
	toShow  []any // frames, and a delivered in place of live ones
}

// delivered is a live frame. The client cannot see its attempt.
type delivered struct{ attempt uint32 }

func (c *client) send(command protocol.Command, what string) {
	c.open[command.Answers()] = what
	c.toServe = append(c.toServe, command)
}

func (c *client) subscribe() {
	c.ref, c.attempt = c.ref+1, c.attempt+1
	c.wanted, c.deaf, c.on = true, true, false
	c.send(&protocol.Subscribe{Ref: c.ref, Topic: "a", Attempt: c.attempt}, "subscribe")
}

func (c *client) unsubscribe() {
	if c.attempt == 0 {
		return
	}
	c.ref++
	c.wanted, c.deaf, c.on = false, true, false
	c.send(&protocol.Unsubscribe{Ref: c.ref, Topic: "a", Attempt: c.attempt}, "unsubscribe")
}

func (c *client) refresh() {
	if c.attempt > 0 {
		c.ref++
		c.send(&protocol.Refresh{Ref: c.ref, Topic: "a", Attempt: c.attempt, Token: "t"}, "refresh")
	}
}

// take takes what came from the server.
func (c *client) take(f any) {
	switch f := f.(type) {
	case delivered:
		if !c.deaf && (!c.on || f.attempt != c.attempt) {
			c.t.Errorf("a frame of attempt %d reaches the application in attempt %d, subscribed: %v", f.attempt, c.attempt, c.on)
		}
	case *protocol.Subscribed:
		c.answered(f.Ref)
		if f.Attempt == c.attempt && c.wanted {
			c.deaf, c.on = false, true
		}
	case *protocol.Unsubscribed:
		if f.Ref != 0 {
			c.answered(f.Ref)
		}
		// The answer to an unsubscribe, or the service's word, of this attempt.
		if f.Attempt == c.attempt && (f.Ref == 0 || !c.wanted) {
			c.deaf, c.on, c.wanted = false, false, false
		}
	case *protocol.Refreshed:
		c.answered(f.Ref)
	case *protocol.Error:
		what := c.open[f.Ref]
		c.answered(f.Ref)
		if what != "refresh" && f.Attempt == c.attempt && c.wanted {
			c.deaf, c.on, c.wanted = false, false, false
		}
	}
}

func (c *client) answered(ref protocol.Ref) {
	if c.open[ref] == "" {
		c.t.Errorf("ref %d has one answer too many", ref)
	}
	delete(c.open, ref)
}

// X17: whatever is late, what the client and the server hold is the same in the end,
// each command has one answer, and no frame of an attempt is taken for another's.
func TestAttemptsByChance(t *testing.T) {
	seeds.Each(t, 200, func(t *testing.T, seed uint64) { playAttempts(t, rand.New(rand.NewPCG(seed, 0))) })
}

func playAttempts(t *testing.T, r *rand.Rand) {
	w := newWorld(t).connect()
	c := &client{t: t, open: map[protocol.Ref]string{}}
	w.sent = func(f protocol.Frame) { c.toShow = append(c.toShow, f) }
	for range 200 {
		step(w, c, r)
	}
	for len(c.toServe)+len(w.calls)+len(c.toShow) > 0 {
		serve(w, c)
		answerAny(w, r)
		show(c)
	}
	if len(c.open) > 0 {
		t.Errorf("without an answer: %v", c.open)
	}
	if len(w.live) > 1 || len(w.live) != w.opened {
		t.Errorf("%d are live, %d open", len(w.live), w.opened)
	}
	if len(w.held) > len(w.live) {
		t.Errorf("%d are live, with %d grants", len(w.live), len(w.held))
	}
	if on := len(w.live) == 1 && w.live[0].attempt == c.attempt; c.on != on || c.wanted != on || c.deaf {
		t.Errorf("live: %v; the client: on %v, wanted %v, deaf %v", on, c.on, c.wanted, c.deaf)
	}
}

// step does one thing.
func step(w *world, c *client, r *rand.Rand) {
	switch r.IntN(11) {
	case 0:
		c.subscribe()
	case 1:
		c.unsubscribe()
	case 2, 3:
		w.atOnce = r.IntN(4) == 0
		serve(w, c)
		w.atOnce = false
	case 4, 5:
		answerAny(w, r)
	case 6:
		show(c)
	case 7:
		if r.IntN(3) == 0 {
			w.s.Unsubscribe("a", 0, protocol.Forbidden)
		}
	case 8:
		for _, d := range w.live {
			c.toShow = append(c.toShow, delivered{d.attempt})
		}
	case 9:
		c.refresh()
	case 10:
		if len(w.held) > 0 {
			w.s.Withdraw(w.held[r.IntN(len(w.held))], protocol.Revoked)
		}
	}
}

func serve(w *world, c *client) {
	if len(c.toServe) > 0 {
		next := c.toServe[0]
		c.toServe = c.toServe[1:]
		w.s.Do(next)
	}
}

// answerAny finishes any call of the backend: they overtake one another.
func answerAny(w *world, r *rand.Rand) {
	if len(w.calls) == 0 {
		return
	}
	i := r.IntN(len(w.calls))
	call := w.calls[i]
	w.calls = slices.Delete(w.calls, i, i+1)
	var err error
	if r.IntN(6) == 0 {
		err = protocol.Unavailable
	}
	call.answer(err)
}

func show(c *client) {
	if len(c.toShow) > 0 {
		f := c.toShow[0]
		c.toShow = c.toShow[1:]
		c.take(f)
	}
}
