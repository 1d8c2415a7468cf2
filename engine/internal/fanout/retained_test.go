package fanout

import "testing"

// A topic without retained messages pays nothing for those of others: a publish and
// its flush allocate the frame and nothing else.
func TestTopicWithoutRetainedMessagesPaysNothing(t *testing.T) {
	h, c := bareHub(t)
	f := h.fans[0]
	for _, name := range []string{"retained", "plain"} {
		if err := h.Subscribe(c.member(f), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.PublishRetained("retained", textMessage("value"), false, nil); err != nil {
		t.Fatal(err)
	}
	waitForLoops(h)
	payload := []byte("payload")
	frame := testing.AllocsPerRun(1000, func() { textMessage(payload) })
	topic := h.Find("plain")
	allocated := make(chan float64, 2)
	_ = f.loop.Do(func() {
		for range 2 {
			allocated <- testing.AllocsPerRun(1000, func() {
				_, _ = h.PublishTo(topic, textMessage(payload), nil)
				f.doFlush()
			})
		}
	})
	<-allocated // makes room
	if n := <-allocated; n > frame {
		t.Errorf("%.0f allocations for a publish and its flush, %.0f for its frame", n, frame)
	}
}
