package engine

import (
	"testing"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/loop"
)

// A handle publishes without a look-up while its topic lives, and finds the next
// topic of the name when that was forgotten.
func TestHandleFindsTheTopicThatIsThere(t *testing.T) {
	g, h, ws := bareHub(t)
	s := &Server{settings: &settings{hub: h}}
	s.up.Store(true)
	topic := s.Topic("topic")
	want := func(n int) {
		t.Helper()
		if d, err := topic.Publish(TextMessage("text")); err != nil || d != (Delivery{Queued: n}) {
			t.Fatalf("%+v, %v; want %d subscribers", d, err, n)
		}
	}
	want(0)
	var last *fanout.Topic
	for range 3 {
		m := h.NewMember(&ws.conn, &ws.out, 0)
		other := h.NewMember(&ws.conn, &ws.out, 1)
		if err := h.Subscribe(m, "topic"); err != nil {
			t.Fatal(err)
		}
		want(1)
		if err := h.Subscribe(other, "topic"); err != nil { // a part more
			t.Fatal(err)
		}
		want(2)
		found := topic.last.Load()
		if found == nil || found == last {
			t.Error("the handle knows another topic than that which is there")
		}
		if want(2); topic.last.Load() != found {
			t.Error("the handle looked the topic up again")
		}
		last = found
		waitForLoops(g)
		h.Unsubscribe(m, "topic")
		h.Unsubscribe(other, "topic")
		waitForLoops(g)
		if !found.Forgotten() {
			t.Fatal("the topic is not forgotten")
		}
		want(0)
	}
}

// waitForLoops returns when every loop has done what was asked of it.
func waitForLoops(g *loop.Group) {
	for range 2 { // a flush may ask for another
		for _, l := range g.Loops() {
			done := make(chan struct{})
			if l.Do(func() { close(done) }) == nil {
				<-done
			}
		}
	}
}
