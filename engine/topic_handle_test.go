package engine

import (
	"testing"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// A handle publishes without a look-up while its topic lives, and finds the next
// topic of the name when that was forgotten.
func TestHandleFindsTheTopicThatIsThere(t *testing.T) {
	h, ws := bareHub(t)
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
	var last *topicAlias
	for range 3 {
		m := &member{ws: ws, fan: h.fans[0]}
		other := &member{ws: ws, fan: h.fans[1]}
		if err := h.subscribe(m, "topic"); err != nil {
			t.Fatal(err)
		}
		want(1)
		if err := h.subscribe(other, "topic"); err != nil { // a part more
			t.Fatal(err)
		}
		want(2)
		found := topic.known.Load()
		if found == nil || found == last {
			t.Error("the handle knows another topic than that which is there")
		}
		if want(2); topic.known.Load() != found {
			t.Error("the handle looked the topic up again")
		}
		last = found
		waitForLoops(h)
		h.unsubscribe(m, "topic")
		h.unsubscribe(other, "topic")
		waitForLoops(h)
		if !found.forgotten.Load() {
			t.Fatal("the topic is not forgotten")
		}
		want(0)
	}
}

type topicAlias = topic // where a handle hides the name

// A topic without retained messages pays nothing for those of others: a publish and
// its flush allocate the frame and nothing else.
func TestTopicWithoutRetainedMessagesPaysNothing(t *testing.T) {
	h, ws := bareHub(t)
	f := h.fans[0]
	for _, name := range []string{"retained", "plain"} {
		if err := h.subscribe(&member{ws: ws, fan: f}, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.publish("retained", Message{Op: Text, Data: []byte("value"), Retain: true}, nil); err != nil {
		t.Fatal(err)
	}
	waitForLoops(h)
	s := &Server{settings: &settings{hub: h}}
	s.up.Store(true)
	payload := []byte("payload")
	frame := testing.AllocsPerRun(1000, func() { frames.New(Text, payload, 0) })
	topic := s.Topic("plain")
	allocated := make(chan float64, 2)
	_ = f.loop.Do(func() {
		for range 2 {
			allocated <- testing.AllocsPerRun(1000, func() {
				_, _ = topic.Publish(TextMessage(payload))
				f.doFlush()
			})
		}
	})
	<-allocated // makes room
	if n := <-allocated; n > frame {
		t.Errorf("%.0f allocations for a publish and its flush, %.0f for its frame", n, frame)
	}
}
