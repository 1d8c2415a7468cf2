package engine_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// topicsLeft wants the server to keep n topics.
func topicsLeft(t *testing.T, srv *engine.Server, n int, when string) {
	t.Helper()
	if topics, _, _, _ := engine.HubLeft(srv); topics != n {
		t.Errorf("%s: %d topics are kept, want %d", when, topics, n)
	}
}

// F-o: a topic exists while it has subscribers or settings, and settings can be
// undone.
func TestTopicIsForgottenWhenItsSettingsAreUndone(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 2})
	topic := r.srv.Topic("room")
	topic.SetSlow(engine.Slow{})
	topic.FlushEvery(0)
	topicsLeft(t, r.srv, 0, "undone before it was set")
	for _, subscribed := range []bool{false, true} {
		topic.SetSlow(engine.Slow{Policy: engine.SlowDropNewest})
		topic.FlushEvery(time.Hour)
		topicsLeft(t, r.srv, 1, "set")
		var ws *engine.WebSocket
		if subscribed {
			_, ws = r.join()
		}
		topic.SetSlow(engine.Slow{})
		topicsLeft(t, r.srv, 1, "half undone")
		topic.FlushEvery(0)
		if subscribed {
			topicsLeft(t, r.srv, 1, "undone with a subscriber")
			if err := ws.Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
		}
		topicsLeft(t, r.srv, 0, "undone, without subscribers")
	}
	topic.FlushEvery(time.Hour)
	_, ws := r.join()
	if err := ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	topicsLeft(t, r.srv, 1, "left with its settings")
	topic.FlushEvery(-1)
	topicsLeft(t, r.srv, 0, "undone after the last subscriber left")
}

// F-o: what waits does not wait for a delay that is undone.
func TestShorterFlushEveryCountsForWhatWaits(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	c, ws := r.join()
	topic := r.srv.Topic("room")
	for name, delay := range map[string]time.Duration{"off": 0, "shorter": time.Millisecond} {
		topic.FlushEvery(time.Hour)
		r.publish(name, queued(1))
		topic.SetSlow(engine.Slow{Policy: engine.SlowDropNewest}) // another setting changes nothing
		flushed(t, ws)
		flushed(t, ws)
		before := r.srv.Stats().MessagesOut
		topic.FlushEvery(delay)
		c.wantMessage(engine.Text, name)
		eventually(t, "the count", func() bool { return r.srv.Stats().MessagesOut == before+1 })
		r.publish("later", queued(1))
		c.wantMessage(engine.Text, "later")
	}
}

// F-o: the policy of the server applies again where a topic or a connection
// undoes its own.
func TestUndonePolicyIsThatOfTheServer(t *testing.T) {
	for name, undo := range map[string]func(*slowCase){
		"topic": func(s *slowCase) {
			s.srv.Topic("room").SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 1})
			s.srv.Topic("room").SetSlow(engine.Slow{})
		},
		"connection": func(s *slowCase) {
			s.ws.SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 1})
			s.ws.SetSlow(engine.Slow{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &slowCase{}
			s.room = openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowConflate, Limit: slowLimit}})
			s.c, s.ws = s.joinNarrow()
			undo(s)
			fillTo(t, s.ws, slowLimit-keptRoom)
			flushed(t, s.ws)
			s.offerKeyed("k", "k1", queued(1))
			s.offerKeyed("k", "k2", engine.Delivery{Conflated: 1})
			s.wantTexts("k2")
		})
	}
}
