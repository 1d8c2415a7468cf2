package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// OnGap is called behind what was published before the gap and before what is published
// after it, in each topic that has one, though all of it waits for one flush.
func TestGapIsReportedInItsPlace(t *testing.T) {
	for name, topics := range map[string][]string{"one topic": {"room"}, "two topics": {"room", "other"}} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, &engine.Server{Loops: 1, Callbacks: tellingGaps})
			c, ws := r.join()
			if err := ws.Subscribe("other"); err != nil {
				t.Fatal(err)
			}
			release := sync.OnceFunc(hold(t, ws))
			t.Cleanup(release)
			for _, topic := range topics {
				publishTo(t, r.srv, topic, "before "+topic)
			}
			r.srv.Gap("room")
			r.srv.Gap("nobody's")
			for _, topic := range topics {
				publishTo(t, r.srv, topic, "after "+topic)
			}
			r.srv.Gap("room") // the same OnGap is for this one too
			publishTo(t, r.srv, "room", "last")
			release()
			for _, topic := range topics {
				c.wantMessage(engine.Text, "before "+topic)
			}
			c.wantMessage(engine.Text, "gap of 0 in room")
			for _, topic := range topics {
				c.wantMessage(engine.Text, "after "+topic)
			}
			c.wantMessage(engine.Text, "last")
			flushed(t, ws)
			r.publish("normal", queued(1))
			c.wantMessage(engine.Text, "normal")
			r.srv.Gap("room") // with nothing else
			c.wantMessage(engine.Text, "gap of 0 in room")
			if _, _, _, slow := engine.HubLeft(r.srv); slow != 0 {
				t.Errorf("%d subscriptions are still slow", slow)
			}
		})
	}
}

func publishTo(t *testing.T, srv *engine.Server, topic, text string) {
	t.Helper()
	if _, err := srv.Publish(topic, engine.TextMessage(text)); err != nil {
		t.Fatal(err)
	}
}

// The number of messages is unknown too where some are known to be lost.
func TestGapOfUnknownSizeMakesTheNumberUnknown(t *testing.T) {
	for name, gapFirst := range map[string]bool{"Gap first": true, "a refused publish first": false} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Limit: 3400}, Callbacks: tellingGaps})
			c, ws := r.join()
			release := sync.OnceFunc(hold(t, ws))
			t.Cleanup(release)
			text := string(pattern(1000))
			if gapFirst {
				r.srv.Gap("room")
			}
			for range 3 {
				r.publish(text, queued(1))
			}
			d, err := r.srv.Publish("room", engine.TextMessage(text))
			wantRefused(t, 1, d, err)
			if !gapFirst {
				r.srv.Gap("room")
			}
			release()
			if gapFirst {
				c.wantMessage(engine.Text, "gap of 0 in room")
			}
			for range 3 {
				c.wantMessage(engine.Text, text)
			}
			if !gapFirst {
				c.wantMessage(engine.Text, "gap of 0 in room")
			}
			flushed(t, ws)
			r.publish("normal", queued(1))
			c.wantMessage(engine.Text, "normal")
		})
	}
}

// Whoever has no OnGap gets everything; whoever subscribes after the gap is not told of it.
func TestGapConcernsWhoSubscribedBefore(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	c, ws := r.join()
	late, lateWS := r.join()
	set := make(chan struct{})
	_ = lateWS.Do(func() { lateWS.OnGap(tellingGaps.OnGap); close(set) })
	within(t, "OnGap", set)
	if err := lateWS.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	release := sync.OnceFunc(hold(t, ws))
	t.Cleanup(release)
	r.publish("before", queued(1))
	r.srv.Gap("room")
	if err := lateWS.Subscribe("room"); err != nil {
		t.Fatal(err)
	}
	r.publish("after", queued(2))
	release()
	c.wantMessage(engine.Text, "before")
	c.wantMessage(engine.Text, "after")
	late.wantMessage(engine.Text, "after")
}

// Gap, and then an end: OnGap is called before it, and a direct send may go first.
func TestGapIsReportedBeforeTheEnd(t *testing.T) {
	for name, end := range map[string]func(*engine.WebSocket) error{
		"Unsubscribe": func(ws *engine.WebSocket) error { return ws.Unsubscribe("room") },
		"Close":       func(ws *engine.WebSocket) error { return ws.Close(engine.StatusNormalClosure, "") },
	} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, &engine.Server{Loops: 1, Callbacks: tellingGaps})
			c, ws := r.join()
			release := sync.OnceFunc(hold(t, ws))
			t.Cleanup(release)
			r.publish("before", queued(1))
			r.srv.Gap("room")
			r.publish("after", queued(1))
			if err := ws.SendText("direct"); err != nil {
				t.Fatal(err)
			}
			if err := end(ws); err != nil {
				t.Fatal(err)
			}
			release()
			for _, text := range []string{"before", "direct", "gap of 0 in room", "after"} {
				c.wantMessage(engine.Text, text)
			}
		})
	}
}

// A subscription with SlowUnsubscribe ends at the gap, and nobody knows the first message
// that is missing.
func TestGapEndsASubscriptionWhosePolicyIsUnsubscribe(t *testing.T) {
	over := make(chan any, 2)
	r := openRoom(t, &engine.Server{Loops: 1, Callbacks: engine.Callbacks{
		OnUnsubscribe: func(_ *engine.WebSocket, _ string, tag any) { over <- tag },
	}})
	if err := r.srv.Topic("room").SetSlow(engine.Slow{Policy: engine.SlowUnsubscribe}); err != nil {
		t.Fatal(err)
	}
	c, ws := r.join()
	release := sync.OnceFunc(hold(t, ws))
	t.Cleanup(release)
	r.publish("before", queued(1))
	r.srv.Gap("room")
	if _, err := r.srv.Publish("room", engine.Message{Op: engine.Text, Data: []byte("behind"), Tag: 1}); err != nil {
		t.Fatal(err)
	}
	release()
	c.wantMessage(engine.Text, "before")
	if tag := within(t, "OnUnsubscribe", over); tag != nil || len(ws.Topics()) > 0 {
		t.Errorf("tag %v, topics %v", tag, ws.Topics())
	}
	if err := ws.SendText("direct"); err != nil {
		t.Fatal(err)
	}
	c.wantMessage(engine.Text, "direct")
}

// One publisher publishes to topics and calls Gap for them, while connections subscribe,
// leave, get direct sends and read slowly. Each message says how many gaps of its topic
// came before it: OnGap was called for as many, or the connection subscribed after them.
// In a topic nothing is repeated or overtaken, and OnGap was called when a message that is
// missing had been published.
func TestGapModel(t *testing.T) {
	seed := seeds.First(t)
	const topics, conns, steps = 3, 12, 4000
	random := rand.New(rand.NewPCG(seed, 1))
	var gaps, numbers [topics]atomic.Int64 // calls of Gap, and publishes, the one that runs too
	srv := &engine.Server{
		Loops: 2,
		Slow:  engine.Slow{Policy: engine.SlowDropOldest, Limit: 20 << 10},
		Callbacks: engine.Callbacks{OnGap: func(ws *engine.WebSocket, topic string, _ uint64) {
			_ = ws.SendText(fmt.Sprint("gap ", topic, " ", gaps[topic[0]-'0'].Load(), " ", numbers[topic[0]-'0'].Load()))
		}},
	}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { joined <- ws }
	addr := listen(t, srv)
	peers := make([]*gapPeer, conns)
	for i := range peers {
		p := &gapPeer{t: t, name: fmt.Sprint("peer ", i), ended: make(chan struct{})}
		peers[i] = p
		dialEngine(t, addr, &engine.DialOptions{Callbacks: engine.Callbacks{OnText: p.onText}})
		p.ws = within(t, "OnUpgrade", joined)
	}
	var done [topics]int64 // calls of Gap that have returned
	for range steps {
		topic := random.IntN(topics)
		name := fmt.Sprint(topic)
		p := peers[random.IntN(conns)]
		switch n := random.IntN(100); {
		case n < 60:
			text := fmt.Sprint("msg ", name, " ", numbers[topic].Add(1), " ", done[topic], " ", strings.Repeat(".", random.IntN(1000)))
			_, _ = srv.Publish(name, engine.TextMessage(text)) // what a loop refuses is a gap
		case n < 70:
			gaps[topic].Add(1)
			srv.Gap(name)
			done[topic]++
		case n < 80:
			_ = p.ws.SendText("direct")
		case n < 92:
			// The number of gaps and messages before it are not for it.
			if err := p.ws.SendText(fmt.Sprint("sub ", name, " ", done[topic], " ", numbers[topic].Load())); err != nil {
				t.Fatal(err)
			}
			if err := p.ws.Subscribe(name); err != nil {
				t.Fatal(err)
			}
		default:
			if err := p.ws.Unsubscribe(name); err != nil {
				t.Fatal(err)
			}
			_ = p.ws.SendText(fmt.Sprint("left ", name, " "))
		}
	}
	for _, p := range peers {
		eventually(t, "everything is sent", func() bool { return p.ws.Buffered() == 0 })
		if err := p.ws.SendText("end"); err != nil {
			t.Fatal(err)
		}
		within(t, "the end", p.ended)
	}
}

// gapPeer checks what one client gets. Its state is that of the loop.
type gapPeer struct {
	t      *testing.T
	name   string
	ws     *engine.WebSocket // of the server
	ended  chan struct{}
	topics [3]struct {
		in   bool
		gaps int64 // that OnGap was called for
		lost int64 // OnGap was called when this message was published at the latest
		last int64 // message
		subs []gapSub
	}
}

// gapSub is one subscription. What waits for OnGap may come in a later one.
type gapSub struct{ gaps, messages int64 } // in front of it

func (p *gapPeer) onText(_ *engine.WebSocket, text []byte) {
	var topic, a, b int64
	kind, rest, _ := strings.Cut(string(text), " ")
	_, _ = fmt.Sscan(rest, &topic, &a, &b)
	s := &p.topics[topic]
	switch kind {
	case "end":
		close(p.ended)
	case "gap":
		s.gaps, s.lost = max(s.gaps, a), max(s.lost, b)
	case "sub":
		if !s.in {
			s.in, s.subs = true, append(s.subs, gapSub{a, b})
		}
	case "left":
		s.in = false
	case "msg":
		var sub gapSub
		for _, before := range s.subs {
			if before.messages < a {
				sub = before
			}
		}
		if b > max(s.gaps, sub.gaps) {
			p.t.Errorf("%s got message %d of topic %d behind %d gaps: %+v", p.name, a, topic, b, s)
		}
		if a <= s.last || a-1 > max(s.last, sub.messages, s.lost) {
			p.t.Errorf("%s got message %d of topic %d: %+v", p.name, a, topic, s)
		}
		s.last = a
	}
}
