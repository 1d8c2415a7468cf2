package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// A snapshot goes behind what was published and sent before, and before what follows;
// whoever does not subscribe yet becomes a subscriber.
func TestResubscribeDeliversRetainedMessagesAgain(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Compression: &takeover})
	r.retain("prices", "A", "A 1")
	r.retain("prices", "B", "B 1")
	for _, offer := range fanOffers {
		c, ws := r.join(offering(offer))
		peer := newDeflateClient(c)
		err := ws.Do(func() { // its loop flushes nothing meanwhile
			if err := ws.Resubscribe("prices"); err != nil {
				t.Error(err)
			}
			r.retain("prices", "B", "B 2")
			if _, err := r.srv.Publish("prices", engine.TextMessage("trade")); err != nil {
				t.Error(err)
			}
			if err := errors.Join(ws.Resubscribe("prices"), ws.Resubscribe("room"), ws.SendText("sent")); err != nil {
				t.Error(err)
			}
			r.retain("prices", "B", "B 1")
		})
		if err != nil {
			t.Fatal(err)
		}
		wantAll(peer, "A 1", "B 1", "B 2", "trade", "A 1", "B 2", "sent", "B 1")
		if topics := ws.Topics(); len(topics) != 2 {
			t.Error(topics)
		}
		if err := ws.Unsubscribe("prices"); err != nil {
			t.Fatal(err)
		}
	}
}

// Each publish comes once, in order; in between a snapshot repeats the last one that came.
// To unsubscribe and subscribe would lose what is published meanwhile.
func TestResubscribeLosesNothingWhileOthersPublish(t *testing.T) {
	const publishes, ahead = 3000, 20
	r := openRoom(t, &engine.Server{Loops: 2})
	c, ws := r.join()
	r.retain("room", "", "0")
	c.wantMessage(engine.Text, "0")
	places := make(chan struct{}, ahead)
	go func() {
		for i := range publishes {
			places <- struct{}{}
			m := engine.Message{Op: engine.Text, Data: []byte(fmt.Sprint(i + 1)), Retain: true}
			if _, err := r.srv.Publish("room", m); err != nil {
				t.Error(err)
			}
		}
	}()
	repeated := 0
	for last := 0; last < publishes; {
		_, p, err := c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch string(p) {
		case fmt.Sprint(last):
			repeated++
		case fmt.Sprint(last + 1):
			last++
			<-places
			if err := ws.Resubscribe("room"); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%s follows %d", p, last)
		}
	}
	if repeated < publishes-ahead-1 {
		t.Errorf("%d snapshots came", repeated)
	}
}

// In OnGap: what is sent there goes first, then what was published behind the gap, then
// the snapshot.
func TestResubscribeInOnGap(t *testing.T) {
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Limit: 3000}}
	srv.Limits.WriteTimeout, srv.Limits.PingInterval = engine.NoLimit, engine.NoLimit
	srv.Callbacks.OnGap = func(ws *engine.WebSocket, topic string, lost uint64) {
		if err := errors.Join(ws.Resubscribe(topic), ws.SendText(fmt.Sprintf("lost %d", lost))); err != nil {
			t.Error(err)
		}
	}
	r := openRoom(t, srv)
	c, ws := r.join()
	r.retain("room", "A", "A 1")
	r.retain("room", "B", "B 1")
	wantAll(c, "A 1", "B 1")
	err := ws.Do(func() { // its loop flushes nothing meanwhile, so it is behind
		if d := r.retain("room", "A", "A 2"); d != queued(1) {
			t.Error(d)
		}
		m := engine.Message{Op: engine.Text, Data: pattern(4000), Key: "C", Retain: true}
		if _, err := srv.Publish("room", m); !errors.Is(err, engine.ErrBackpressure) {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	wantAll(c, "A 2", "lost 1", "B 1", "A 2", string(pattern(4000)))
	r.publish("later", queued(1))
	wantAll(c, "later")
}

// A gap that OnGap was not called for yet comes before the snapshot.
func TestResubscribeComesBehindOnGap(t *testing.T) {
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Limit: 3000}}
	srv.Callbacks.OnGap = func(ws *engine.WebSocket, _ string, lost uint64) { _ = ws.SendText(fmt.Sprintf("lost %d", lost)) }
	r := openRoom(t, srv)
	c, ws := r.join()
	err := ws.Do(func() {
		r.publish("before", queued(1))
		m := engine.Message{Op: engine.Text, Data: pattern(4000), Retain: true}
		if _, err := srv.Publish("room", m); !errors.Is(err, engine.ErrBackpressure) {
			t.Error(err)
		}
		if err := ws.Resubscribe("room"); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	wantAll(c, "before", "lost 1", string(pattern(4000)))
}

func TestResubscribeErrors(t *testing.T) {
	const limit = 1 << 20
	errNo := errors.New("no")
	allowed := true
	srv := &engine.Server{
		Loops:  1,
		Limits: engine.Limits{MaxQueued: limit, WriteTimeout: engine.NoLimit, PingInterval: engine.NoLimit},
		MaySubscribe: func(*engine.WebSocket, string) error {
			if !allowed {
				return errNo
			}
			return nil
		},
	}
	r := openRoom(t, srv)
	_, ws := r.joinNarrow()
	r.retain("room", "", string(pattern(100<<10)))
	var err error
	for range 1000 {
		if err = ws.Resubscribe("room"); err != nil {
			break
		}
	}
	if !errors.Is(err, engine.ErrBackpressure) || ws.Buffered() > limit {
		t.Errorf("%v, %d bytes are queued", err, ws.Buffered())
	}
	allowed = false
	if err := ws.Resubscribe("room"); err != errNo {
		t.Error(err)
	}
	if !slices.Contains(ws.Topics(), "room") {
		t.Error("it does not subscribe any more")
	}
	allowed = true
	ws.CloseNow()
	if err := ws.Resubscribe("room"); err != engine.ErrClosed {
		t.Error(err)
	}
}

// Forget removes values, and delivers nothing.
func TestForgetRemovesRetainedMessagesWithoutADelivery(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	c, ws := r.join()
	held := heldBy(r.srv)
	r.retain("prices", "A", "A 1")
	r.retain("prices", "B", "B 1")
	r.retain("prices", "", "none 1")
	prices := r.srv.Topic("prices")
	if err := ws.Subscribe("prices"); err != nil {
		t.Fatal(err)
	}
	prices.Forget("A")
	prices.Forget("A")
	prices.Forget("unknown")
	prices.Forget("")
	if err := ws.Resubscribe("prices"); err != nil {
		t.Fatal(err)
	}
	prices.ForgetAll()
	if err := errors.Join(ws.Resubscribe("prices"), ws.SendText("end")); err != nil {
		t.Fatal(err)
	}
	wantAll(c, "A 1", "B 1", "none 1", "B 1", "end")
	if n := heldBy(r.srv); n != held {
		t.Errorf("%d bytes are held, want %d", n, held)
	}
	if err := ws.Unsubscribe("prices"); err != nil {
		t.Fatal(err)
	}
	r.retain("prices", "A", "A 1")
	prices.Forget("A")
	eventually(t, "the topic is forgotten", func() bool { topics, _, _, _ := engine.HubLeft(r.srv); return topics == 1 })
	unused := new(engine.Server).Topic("prices")
	unused.Forget("A")
	unused.ForgetAll()
}
