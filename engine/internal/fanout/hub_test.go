package fanout

import (
	"math"
	"runtime"
	"slices"
	"testing"
)

// flushing makes f believe that a flush is under way, as long as fn runs, and
// lets it end.
func flushing(f *fan, fn func()) {
	f.mu.Lock()
	f.flushing = true
	f.mu.Unlock()
	fn()
	done := make(chan struct{})
	if f.loop.Do(func() { f.doFlush(); close(done) }) == nil {
		<-done
	}
}

// C09, here: the last one leaves while subscribers stand still.
func TestTopicThatIsLeftDuringAFlushIsForgotten(t *testing.T) {
	h, c := bareHub(t)
	for name, leave := range map[string]func(*Member){
		"unsubscribe": func(m *Member) { h.Unsubscribe(m, "topic") },
		"end":         func(m *Member) { m.LeaveAll() },
		"joined meanwhile": func(m *Member) {
			other := c.member(m.fan())
			if err := h.Subscribe(other, "topic"); err != nil {
				t.Error(err)
			}
			h.Unsubscribe(m, "topic")
			other.Close()
			other.LeaveAll()
		},
	} {
		m := c.member(h.fans[0])
		if err := h.Subscribe(m, "topic"); err != nil {
			t.Fatal(err)
		}
		flushing(m.fan(), func() { leave(m) })
		if topics, subs := h.sizes(); topics+subs != 0 {
			t.Errorf("%s: %d topics and %d subscribers are left", name, topics, subs)
		}
	}
}

// A part that is forgotten must not take its topic's successor along.
func TestForgettingAnOldPartLeavesItsSuccessorAlone(t *testing.T) {
	h, c := bareHub(t)
	m := c.member(h.fans[0])
	if err := h.Subscribe(m, "topic"); err != nil {
		t.Fatal(err)
	}
	old := m.only.part
	h.Unsubscribe(m, "topic")
	if err := h.Subscribe(m, "topic"); err != nil {
		t.Fatal(err)
	}
	m.fan().prune(old)
	if topics, subs := h.sizes(); topics != 1 || subs != 1 {
		t.Errorf("%d topics and %d subscribers, want one of each", topics, subs)
	}
	if d, err := h.publish("topic", textMessage("")); err != nil || d.Queued != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

// A publish allocates its frame, and nothing for whom it reaches. Several that are
// flushed together take the memory in which they are put together.
func TestPublishAndFlushAllocateNothingButTheFrame(t *testing.T) {
	h, c := bareHub(t)
	f := h.fans[0]
	for range 100 {
		m := c.member(f)
		for _, topic := range []string{"a", "b"} {
			if err := h.Subscribe(m, topic); err != nil {
				t.Fatal(err)
			}
		}
	}
	const rounds, parts = 50, 20
	payload := []byte("payload")
	frame := testing.AllocsPerRun(rounds, func() { textMessage(payload) })
	flush := func(topics []string) {
		for range rounds {
			for _, topic := range topics {
				if _, err := h.publish(topic, textMessage(payload)); err != nil {
					t.Error(err)
				}
			}
			f.doFlush()
		}
	}
	count := func(topics ...string) float64 { // of the best part: the rest of the process allocates now and then
		var before, after runtime.MemStats
		least := uint64(math.MaxUint64)
		done := make(chan struct{})
		_ = f.loop.Do(func() {
			defer close(done)
			for range 4 { // which make room
				flush(topics)
			}
			for range parts {
				runtime.ReadMemStats(&before)
				flush(topics)
				runtime.ReadMemStats(&after)
				least = min(least, after.Mallocs-before.Mallocs)
			}
		})
		<-done
		return float64(least) / rounds
	}
	for _, tt := range []struct {
		topics   []string
		together float64
	}{{[]string{"a"}, 0}, {[]string{"a", "b"}, 0}, {slices.Repeat([]string{"a"}, 10), 2}} {
		if n := count(tt.topics...); n > frame*float64(len(tt.topics))+tt.together+0.1 {
			t.Errorf("%v: %.2f allocations for each flush, and %.0f for each frame", tt.topics, n, frame)
		}
	}
}

// counter is a Watcher that counts.
type counter struct{ opened, closed int }

func (c *counter) TopicOpened(string) { c.opened++ }

func (c *counter) TopicClosed(string) { c.closed++ }

// A topic that its settings keep is closed once, though the end of a flush finds its part
// empty again.
func TestTopicIsClosedOnce(t *testing.T) {
	h, c := bareHub(t)
	var w counter
	h.watcher = &w
	h.Change("topic", func(r *Rules) { r.FlushEvery = 1 })
	m := c.member(h.fans[0])
	if err := h.Subscribe(m, "topic"); err != nil {
		t.Fatal(err)
	}
	p := m.only.part
	h.Unsubscribe(m, "topic")
	m.fan().prune(p)
	if w != (counter{1, 1}) {
		t.Errorf("%+v, want one of each", w)
	}
}
