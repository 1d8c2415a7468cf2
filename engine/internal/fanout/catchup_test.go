package fanout

import (
	"fmt"
	"testing"
	"time"
)

// A send catches up with topics that have messages, of those that the connection
// has subscribed to, and not with all of them.
func TestCatchUpLooksAtTopicsThatHaveMessagesOnly(t *testing.T) {
	const many = 5000
	h, c := bareHub(t)
	f := h.fans[0]
	subscriber := func(from, to int) *Member {
		m := c.member(f)
		for i := from; i < to; i++ {
			if err := h.Subscribe(m, fmt.Sprint("topic ", i)); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	all, one, other := subscriber(0, many), subscriber(7, 8), subscriber(many, many+1)
	looks := func(m *Member) (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.eachLoaded(m, func(*subscription) { n++ })
		return n
	}
	want := func(when string, wantAll, wantOne, wantOther int) {
		t.Helper()
		if a, b, c := looks(all), looks(one), looks(other); a != wantAll || b != wantOne || c != wantOther {
			t.Errorf("%s: %d, %d and %d topics are looked at; want %d, %d and %d", when, a, b, c, wantAll, wantOne, wantOther)
		}
	}
	delayed := &Rules{FlushEvery: time.Hour}
	publish := func(i int) {
		name := fmt.Sprint("topic ", i)
		for _, p := range *h.shard(name).topics[name].parts.Load() {
			p.setRules(delayed, true)
		}
		if _, err := h.publish(name, textMessage("")); err != nil {
			t.Fatal(err)
		}
	}
	want("nothing published", 0, 0, 0)
	publish(many)
	want("to another's topic", 0, 0, 1)
	publish(7)
	want("to one more", 1, 1, 1)
	for i := range many / 2 {
		publish(10 + i)
	}
	want("to half of them", 1+many/2, 1, 1)
	f.mu.Lock()
	f.catchUp(all)
	f.mu.Unlock()
	if all.seq != f.number {
		t.Errorf("caught up to %d, want %d: the next send looks again", all.seq, f.number)
	}
}
