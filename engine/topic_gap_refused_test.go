package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// What no loop has looked at yet is bounded too, and the gap is told in its
// place.
func TestPublisherFasterThanTheLoopIsRefusedAndTheGapIsTold(t *testing.T) {
	const size, limit = 1000, 11_100
	inside, leave := make(chan struct{}), make(chan struct{})
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Limit: limit}, Callbacks: engine.Callbacks{
		OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
			if err := ws.SendText(fmt.Sprintf("gap of %d in %s", dropped, topic)); err != nil {
				t.Error(err)
			}
		},
		OnText: func(*engine.WebSocket, []byte) {
			inside <- struct{}{}
			<-leave
		},
	}}
	r := openRoom(t, srv)
	c, _ := r.join()
	blocker := openRaw(t, r.addr)
	if err := within(t, "OnUpgrade", r.joined).Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	text := func(i int) string { return string(numbered(uint32(i), size)) }
	blocker.sendFrame(engine.Text, true, nil)
	within(t, "the callback", inside)
	for i := range 10 {
		r.publish(text(i), queued(1))
	}
	for range 3 {
		d, err := srv.Publish("room", engine.TextMessage(pattern(size)))
		if !errors.Is(err, engine.ErrBackpressure) || d != (engine.Delivery{Dropped: 1}) {
			t.Errorf("%+v, %v", d, err)
		}
	}
	leave <- struct{}{}
	for i := range 10 {
		c.wantMessage(engine.Text, text(i))
	}
	c.wantMessage(engine.Text, "gap of 3 in room")
	r.publish("again", queued(1))
	c.wantMessage(engine.Text, "again")
	if st := srv.Stats(); st.Dropped != 3 {
		t.Errorf("%+v", st)
	}
}

// What is refused for everyone, because the loop is behind, is a gap for
// everyone: for a subscriber of several topics in each, and also if its socket
// blocks with what is flushed before the gap.
func TestGapOfRefusedPublishesIsTold(t *testing.T) {
	type gap struct {
		topic   string
		dropped uint64
	}
	for name, tt := range map[string]struct{ limit, size, number int }{
		"the socket takes all": {3000, 1000, 6},
		"the socket blocks":    {8 << 20, 1 << 20, 12},
		"small frames":         {8 << 20, 1 << 10, 9000},
	} {
		t.Run(name, func(t *testing.T) {
			gaps, joined := make(chan gap, 10), make(chan *engine.WebSocket, 1)
			srv := &engine.Server{
				Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Limit: tt.limit},
				Limits:    engine.Limits{WriteTimeout: patience},
				Callbacks: engine.Callbacks{OnGap: func(_ *engine.WebSocket, topic string, n uint64) { gaps <- gap{topic, n} }},
				OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
					_, _ = ws.Subscribe("a"), ws.Subscribe("b")
					joined <- ws
				},
			}
			c := openRaw(t, listen(t, srv))
			ws := within(t, "OnUpgrade", joined)
			held, release := make(chan struct{}), make(chan struct{})
			_ = ws.Do(func() { close(held); <-release })
			within(t, "the hold of the loop", held)
			queued, want := 0, map[string]uint64{}
			for _, topic := range []string{"a", "b"} {
				for range tt.number {
					d, err := srv.Publish(topic, engine.BinaryMessage(make([]byte, tt.size)))
					if (err != nil) != (d.Dropped == 1) || d.Subscribers() != 1 {
						t.Fatal(d, err)
					}
					queued += d.Queued
					want[topic] += uint64(d.Dropped)
				}
			}
			close(release)
			for range queued {
				if _, _, err := c.readFrame(); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]uint64{}
			for range 2 {
				g := within(t, "OnGap", gaps)
				got[g.topic] += g.dropped
			}
			if got["a"] != want["a"] || got["b"] != want["b"] || want["a"] == 0 {
				t.Errorf("OnGap told of %v, want %v", got, want)
			}
		})
	}
}
