package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// crossing is a server with subscribers of the topics a, b, or both, whose loop is
// held while messages are published to a and b in turn.
type crossing struct {
	*room
	both, onlyA, onlyB *rawClient
	ws                 *engine.WebSocket // of both
	texts              []string          // published, in order
	of                 map[string][]string
}

func openCrossing(t *testing.T, srv *engine.Server) *crossing {
	t.Helper()
	x := &crossing{room: openRoom(t, srv), of: make(map[string][]string)}
	join := func(topics ...string) (*rawClient, *engine.WebSocket) {
		c, ws := x.join()
		x.subscribe(ws, topics...)
		return c, ws
	}
	x.onlyA, _ = join("a")
	x.both, x.ws = join("b", "a")
	x.onlyB, _ = join("b")
	return x
}

// subscribe makes ws a subscriber of topics and no others.
func (x *crossing) subscribe(ws *engine.WebSocket, topics ...string) {
	x.t.Helper()
	if err := ws.Unsubscribe("room"); err != nil {
		x.t.Fatal(err)
	}
	for _, topic := range topics {
		if err := ws.Subscribe(topic); err != nil {
			x.t.Fatal(err)
		}
	}
}

// publish publishes the next text, padded to size, to topic.
func (x *crossing) publish(topic string, size int) {
	x.t.Helper()
	text := fmt.Sprintf("%s%d", topic, len(x.texts))
	text += string(pattern(max(0, size-len(text))))
	if d, err := x.srv.Publish(topic, engine.TextMessage(text)); err != nil || d.Subscribers() != x.srv.Topic(topic).Subscribers() {
		x.t.Fatalf("publishing %.10q: %+v, %v", text, d, err)
	}
	x.texts = append(x.texts, text)
	x.of[topic] = append(x.of[topic], text)
}

// wantAll wants every subscriber to get what was published to its topics, in that
// order.
func (x *crossing) wantAll() {
	x.t.Helper()
	for c, texts := range map[*rawClient][]string{x.both: x.texts, x.onlyA: x.of["a"], x.onlyB: x.of["b"]} {
		for _, text := range texts {
			c.wantMessage(engine.Text, text)
		}
	}
}

// F-j: what is published goes out in that order, whatever the topics.
func TestPublishesToSeveralTopicsKeepTheirOrder(t *testing.T) {
	t.Run("small", func(t *testing.T) {
		x := openCrossing(t, &engine.Server{Loops: 1})
		for round := range 3 {
			release := hold(t, x.ws)
			for i := range 5 + round {
				x.publish([]string{"a", "b", "b", "a", "a"}[(i+round)%5], 0)
			}
			release()
			flushed(t, x.ws)
		}
		x.wantAll()
	})
	t.Run("large", func(t *testing.T) {
		x := openCrossing(t, &engine.Server{Loops: 1})
		release := hold(t, x.ws)
		for i := range 12 {
			x.publish([]string{"a", "b"}[i%2], []int{10, 20_000, 300}[i%3])
		}
		release()
		x.wantAll()
	})
	t.Run("a send in between", func(t *testing.T) {
		x := openCrossing(t, &engine.Server{Loops: 1})
		release := hold(t, x.ws)
		for i := range 8 {
			if i == 5 {
				if err := x.ws.SendText("direct"); err != nil {
					t.Fatal(err)
				}
			}
			x.publish([]string{"a", "b"}[i%2], 0)
		}
		release()
		for i, text := range x.texts {
			if i == 5 {
				x.both.wantMessage(engine.Text, "direct")
			}
			x.both.wantMessage(engine.Text, text)
		}
	})
	t.Run("unsubscribe in between", func(t *testing.T) {
		x := openCrossing(t, &engine.Server{Loops: 1})
		release := hold(t, x.ws)
		for i := range 6 {
			x.publish([]string{"b", "a"}[i%2], 0)
		}
		if err := x.ws.Unsubscribe("a"); err != nil {
			t.Fatal(err)
		}
		want := x.texts
		x.publish("b", 0)
		want = append(want, x.texts[6])
		x.publish("a", 0)
		release()
		for _, text := range want {
			x.both.wantMessage(engine.Text, text)
		}
	})
}

// F-j: a delayed topic keeps its place before what is published later, which
// takes it along for those that get both.
func TestDelayedTopicKeepsItsPlace(t *testing.T) {
	x := openCrossing(t, &engine.Server{Loops: 1})
	x.srv.Topic("a").FlushEvery(time.Hour)
	x.publish("a", 0)
	x.publish("b", 0)
	x.publish("a", 0)
	x.publish("a", 0)
	x.publish("b", 0)
	for _, text := range x.texts {
		x.both.wantMessage(engine.Text, text)
	}
	for _, text := range x.of["b"] {
		x.onlyB.wantMessage(engine.Text, text)
	}
	flushed(t, x.ws)
	flushed(t, x.ws)
	if n := x.srv.Stats().MessagesOut; n != 7 {
		t.Errorf("%d messages went out, want those of b and of whoever gets both", n)
	}
	x.srv.Topic("a").FlushEvery(0)
	for _, text := range x.of["a"] {
		x.onlyA.wantMessage(engine.Text, text)
	}
	x.publish("a", 0)
	x.both.wantMessage(engine.Text, x.texts[5])
}

// F-j: also for a slow subscriber, whose topics may have different policies.
func TestSlowSubscriberOfSeveralTopicsGetsThemInOrder(t *testing.T) {
	for name, policies := range map[string][2]engine.SlowPolicy{
		"both keep":    {engine.SlowDropOldest, engine.SlowConflate},
		"one keeps":    {engine.SlowConflate, engine.SlowDropNewest},
		"neither does": {engine.SlowClose, engine.SlowDropNewest},
	} {
		for when, slow := range map[string]bool{"slow before": true, "slow when it is flushed": false} {
			t.Run(name+", "+when, func(t *testing.T) {
				x := openCrossing(t, &engine.Server{Loops: 1})
				for i, topic := range []string{"a", "b"} {
					x.srv.Topic(topic).SetSlow(engine.Slow{Policy: policies[i], Limit: slowLimit})
				}
				c, ws := x.joinNarrow()
				x.subscribe(ws, "b", "a")
				fillTo(t, ws, slowLimit/2)
				if slow {
					x.publish("a", 0)
					flushed(t, ws)
				}
				release := hold(t, ws)
				for i := range 20 {
					x.publish([]string{"a", "b", "b", "a", "b"}[i%5], 0)
				}
				release()
				flushed(t, ws)
				for _, topic := range []string{"b", "a", "a", "b"} {
					x.publish(topic, 0)
				}
				x.wantAll()
				s := slowCase{room: x.room, c: c, ws: ws}
				s.wantTexts(x.texts...)
			})
		}
	}
}

// F-j: what waits for the end of a fragmented message keeps its order too, also
// from a topic that was left, and what is published behind it.
func TestTopicsBehindAFragmentKeepTheirOrder(t *testing.T) {
	x := openCrossing(t, &engine.Server{Loops: 1})
	fragment := func(text string, fin bool) {
		t.Helper()
		if err := x.ws.SendFragment(engine.Text, []byte(text), fin); err != nil {
			t.Fatal(err)
		}
	}
	fragment("begun", false)
	for i := range 6 {
		x.publish([]string{"b", "a"}[i%2], 0)
	}
	if err := x.ws.Unsubscribe("a"); err != nil {
		t.Fatal(err)
	}
	want := x.texts
	x.publish("b", 0)
	flushed(t, x.ws)
	x.publish("b", 0)
	want = append(want, x.texts[6:]...)
	fragment("ended", true)
	x.publish("b", 0)
	want = append(want, x.texts[8])
	if err := x.ws.SendText("direct"); err != nil {
		t.Fatal(err)
	}
	x.both.wantFrame(engine.Text, false, "begun")
	x.both.wantFrame(engine.Continuation, true, "ended")
	for _, text := range append(want, "direct") {
		x.both.wantMessage(engine.Text, text)
	}
}
