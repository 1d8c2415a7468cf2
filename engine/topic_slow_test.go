package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// R01: at the limit in bytes.
func TestSlowCloseClosesWith1013AtItsLimit(t *testing.T) {
	eachScope(t, engine.SlowClose, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		s.offer("m11", engine.Delivery{Closed: 1})
		s.publish("nobody", queued(0))
		if err := s.ws.SendText("late"); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Send after that: %v", err)
		}
		s.wantTexts(numbers("m", 1, 10)...)
		code, reason := s.c.readClose()
		if code != engine.StatusTryAgainLater || reason == "" {
			t.Errorf("closed with %d %q", code, reason)
		}
		s.c.send(testkit.Masked(codec.Close, "\x03\xf5"))
		s.c.wantEOF()
		_ = s.c.Close()
		if err := within(t, "OnError", s.errs); !errors.Is(err, engine.ErrSlow) {
			t.Errorf("OnError: %v", err)
		}
		if code := within(t, "OnClose", s.closed); code != engine.StatusTryAgainLater {
			t.Errorf("OnClose: %d", code)
		}
		if err := s.ws.Err(); !errors.Is(err, engine.ErrSlow) {
			t.Errorf("Err: %v", err)
		}
		if st := s.srv.Stats(); st.Ended[engine.CauseSlow] != 1 || st.Dropped != 0 || st.Conflated != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSlowDropNewestDropsWhatDoesNotFit(t *testing.T) {
	eachScope(t, engine.SlowDropNewest, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		for _, words := range numbers("lost", 1, 5) {
			s.offer(words, engine.Delivery{Dropped: 1})
		}
		if err := s.ws.Ping([]byte("still")); err != nil { // never dropped
			t.Error(err)
		}
		s.wantTexts(numbers("m", 1, 10)...)
		s.c.wantFrame(codec.Ping, true, "still")
		s.wantTexts("gap of 5 in room")
		s.wantNormal()
		if st := s.srv.Stats(); st.Dropped != 5 || st.Conflated != 0 || st.Ended[engine.CauseSlow] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// longer is a text as long as the texts of n messages together.
func longer(n int) string { return strings.Repeat("l", n*slowSize) }

// What is displaced is dropped, and counted as that.
func TestSlowDropOldestKeepsTheLatest(t *testing.T) {
	eachScope(t, engine.SlowDropOldest, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		for _, words := range numbers("m", 11, 16) {
			s.offer(words, engine.Delivery{Dropped: 1}) // an older one
		}
		s.offer(longer(2), engine.Delivery{Dropped: 1}) // two older ones
		s.wantTexts(append(append([]string{"gap of 8 in room"}, numbers("m", 9, 16)...), longer(2))...)
		s.wantNormal()
		if st := s.srv.Stats(); st.Dropped != 8 || st.Conflated != 0 || st.Ended[engine.CauseSlow] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSlowConflateKeepsTheLatestOfEachKeyInOrder(t *testing.T) {
	eachScope(t, engine.SlowConflate, func(t *testing.T, s *slowCase) {
		s.offerKeyed("a", "a1", queued(1))
		s.offer("plain", queued(1))
		s.offerKeyed("b", "b1", queued(1))
		for i := range 100 { // more than the queue would hold
			s.offerKeyed("a", fmt.Sprint("a", i+2), engine.Delivery{Conflated: 1})
		}
		s.offerKeyed("b", "b2", engine.Delivery{Conflated: 1})
		for _, key := range numbers("k", 1, 7) {
			s.offerKeyed(key, key, queued(1))
		}
		s.offerKeyed("new", "new", engine.Delivery{Dropped: 1})
		s.offer("plain too", engine.Delivery{Dropped: 1})
		s.offerKeyed("k1", "k1 again", engine.Delivery{Conflated: 1})
		want := []string{"gap of 2 in room", "plain", "a101", "b2"}
		want = append(want, numbers("k", 2, 7)...)
		s.wantTexts(append(want, "k1 again")...)
		s.wantNormal()
		if st := s.srv.Stats(); st.Dropped != 2 || st.Conflated != 102 || st.Ended[engine.CauseSlow] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestKeyedPublishesOfConnectionsAndTopicsConflateToo(t *testing.T) {
	eachScope(t, engine.SlowConflate, func(t *testing.T, s *slowCase) {
		_, from := s.join()
		keyed := func(words string, want engine.Delivery) {
			t.Helper()
			d, err := from.Publish("room", engine.Message{Op: engine.Text, Data: []byte(s.text(words)), Key: "key"})
			if err != nil || d != want {
				t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
			}
			flushed(t, s.ws)
		}
		keyed("one", queued(1)) // not for itself
		keyed("two", engine.Delivery{Conflated: 1})
		d, err := s.srv.Topic("room").Publish(engine.Message{Op: engine.Text, Data: []byte(s.text("three")), Key: "key"})
		if want := (engine.Delivery{Queued: 1, Conflated: 1}); err != nil || d != want {
			t.Fatalf("%+v, %v; want %+v", d, err, want)
		}
		s.wantTexts("three")
	})
}

// A direct send keeps its place behind what was published before, and what a
// subscriber was promised survives its Unsubscribe.
func TestWhatWaitsForASlowSubscriberKeepsItsPlace(t *testing.T) {
	eachScope(t, engine.SlowConflate, func(t *testing.T, s *slowCase) {
		s.offerKeyed("k", "k1", queued(1))
		if err := s.ws.SendText("direct"); err != nil {
			t.Fatal(err)
		}
		s.offerKeyed("k", "k2", queued(1)) // k1 is on its way
		s.offerKeyed("k", "k3", engine.Delivery{Conflated: 1})
		if err := s.ws.Unsubscribe("room"); err != nil {
			t.Fatal(err)
		}
		if err := s.ws.SendText("end"); err != nil {
			t.Fatal(err)
		}
		s.wantTexts("k1", "direct", "k3", "end")
		if _, _, subs, slow := engine.HubLeft(s.srv); subs+slow != 0 {
			t.Errorf("%d subscriptions are left, %d slow", subs, slow)
		}
		eventually(t, "nothing is held", func() bool { return s.ws.Buffered() == 0 && s.srv.Stats().QueuedBytes == 0 })
	})
}

// R-e: Close takes along what was counted as on its way, behind what OnGap sends
// about what is missing before it.
func TestCloseSendsWhatWaitsBehindAGap(t *testing.T) {
	eachScope(t, engine.SlowDropOldest, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		for _, words := range numbers("m", 11, 13) {
			s.offer(words, engine.Delivery{Dropped: 1})
		}
		if err := s.ws.Close(engine.StatusNormalClosure, ""); err != nil {
			t.Fatal(err)
		}
		s.wantTexts(append([]string{"gap of 3 in room"}, numbers("m", 4, 13)...)...)
		if code, _ := s.c.readClose(); code != engine.StatusNormalClosure {
			t.Errorf("close code %d", code)
		}
	})
}

// A subscriber whose queue lies below the low mark must not keep its loop busy,
// and OnDrain is for queues that were over the high one.
func TestSlowSubscriberBelowTheLowMarkCostsNothing(t *testing.T) {
	drains := 0 // of the one loop
	srv := &engine.Server{Loops: 1, Callbacks: engine.Callbacks{
		OnDrain: func(*engine.WebSocket) { drains++ },
		OnText:  func(*engine.WebSocket, []byte) {},
	}}
	r := openRoom(t, srv)
	c, ws := r.joinNarrow()
	fillTo(t, ws, 40_000)
	r.publish("one", queued(1))
	flushed(t, ws)
	c.sendFrame(engine.Text, true, []byte("an event"))
	eventually(t, "the event", func() bool { return srv.Stats().MessagesIn == 1 })
	for range 200 {
		flushed(t, ws)
	}
	for {
		h, payload, err := c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.OpCode == engine.Text && string(payload) == "one" {
			break
		}
	}
	flushed(t, ws)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if drains != 0 {
		t.Errorf("OnDrain came %d times", drains)
	}
}

func TestMessagesLargerThanTheLimitGoByPolicy(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropOldest, Limit: 100_000}})
	c, ws := r.joinNarrow()
	fillTo(t, ws, 50_000)
	r.publish("small", queued(1))
	flushed(t, ws)
	r.publish(string(pattern(200_000)), engine.Delivery{Dropped: 1})
	if err := ws.SendText("end"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"end", "small"} { // behind the gap, which nobody was told of yet
		for {
			h, payload, err := c.readFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h.OpCode == engine.Binary {
				continue
			}
			if string(payload) != want {
				t.Fatalf("got %.20q, want %q", payload, want)
			}
			break
		}
	}
	fresh, _ := r.join()
	if err := ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	big := string(pattern(200_000))
	r.publish(big, queued(1)) // one message to an empty queue is always taken
	fresh.wantMessage(engine.Text, big)
}

// Every publish falls to every subscriber in exactly one way, whoever is slow.
func TestCountsOfAPublishAddUpWhoeverIsSlow(t *testing.T) {
	policies := []engine.Slow{
		{Policy: engine.SlowClose, Limit: 200_000},
		{Policy: engine.SlowDropNewest, Limit: 100_000},
		{Policy: engine.SlowDropOldest, Limit: 100_000},
		{Policy: engine.SlowConflate, Limit: 100_000},
	}
	srv := &engine.Server{Loops: 2, Limits: engine.Limits{CloseTimeout: patience, WriteTimeout: -1, PingInterval: -1}}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.Subscribe("room")
		joined <- ws
	}
	addr := listen(t, srv)
	const of = 5 // under each policy
	var sockets []*engine.WebSocket
	for i := range of * len(policies) {
		openNarrow(t, addr)
		ws := within(t, "OnUpgrade", joined)
		ws.SetSlow(policies[i%len(policies)])
		sockets = append(sockets, ws)
	}
	want := of * len(policies)
	var sum engine.Delivery
	for i := range 3000 {
		topic, body := srv.Topic("room"), pattern(5000)
		binary.BigEndian.PutUint32(body, uint32(i))
		if n := topic.Subscribers(); n != want {
			t.Fatalf("publish %d: %d subscribers, want %d", i, n, want)
		}
		d, err := srv.Publish("room", engine.Message{Op: engine.Binary, Data: body, Key: fmt.Sprint(i % 3)})
		if err != nil || d.Subscribers() != want {
			t.Fatalf("publish %d: %+v, %v; want %d together", i, d, err, want)
		}
		want -= d.Closed
		sum.Queued += d.Queued
		sum.Dropped += d.Dropped
		sum.Conflated += d.Conflated
		sum.Closed += d.Closed
		if i%10 == 0 { // let the loops see it
			for _, ws := range sockets {
				if ws.Err() == nil {
					flushed(t, ws)
				}
			}
		}
	}
	if sum.Closed != of || sum.Dropped == 0 || sum.Conflated == 0 {
		t.Errorf("%+v: not every policy had its turn", sum)
	}
	_ = srv.Close()
	st := srv.Stats()
	if st.Dropped < uint64(sum.Dropped) || st.Conflated != uint64(sum.Conflated) ||
		st.Ended[engine.CauseSlow] != uint64(sum.Closed) || st.Ended[engine.CauseShutdown] != uint64(len(sockets)-sum.Closed) {
		t.Errorf("statistics %+v, counts %+v", st, sum)
	}
}
