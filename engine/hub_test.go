package engine

import "testing"

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
	h, ws := bareHub(t)
	for name, leave := range map[string]func(*member){
		"unsubscribe": func(m *member) { h.unsubscribe(m, "topic") },
		"end":         func(m *member) { m.leaveAll() },
		"joined meanwhile": func(m *member) {
			other := &member{ws: ws, fan: m.fan}
			if err := h.subscribe(other, "topic"); err != nil {
				t.Error(err)
			}
			h.unsubscribe(m, "topic")
			other.retire()
			other.leaveAll()
		},
	} {
		m := &member{ws: ws, fan: h.fans[0]}
		if err := h.subscribe(m, "topic"); err != nil {
			t.Fatal(err)
		}
		flushing(m.fan, func() { leave(m) })
		if topics, subs := h.sizes(); topics+subs != 0 {
			t.Errorf("%s: %d topics and %d subscribers are left", name, topics, subs)
		}
	}
}

// A part that is forgotten must not take its topic's successor along.
func TestForgettingAnOldPartLeavesItsSuccessorAlone(t *testing.T) {
	h, ws := bareHub(t)
	m := &member{ws: ws, fan: h.fans[0]}
	if err := h.subscribe(m, "topic"); err != nil {
		t.Fatal(err)
	}
	old := m.subs[0].part
	h.unsubscribe(m, "topic")
	if err := h.subscribe(m, "topic"); err != nil {
		t.Fatal(err)
	}
	m.fan.prune([]*part{old})
	if topics, subs := h.sizes(); topics != 1 || subs != 1 {
		t.Errorf("%d topics and %d subscribers, want one of each", topics, subs)
	}
	if d, err := h.publish(publish{topic: "topic", op: Text}); err != nil || d.Queued != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}
