//go:build linux

package engine_test

import (
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/engine"
)

// publish publishes to a topic, and compares the counts with who is subscribed.
func (w *world) publish() {
	engine.Turn(w.srv) // who is closed is known
	topic, size := fmt.Sprint("t", w.rng.IntN(3)), randomSize(w.rng)
	w.numbers[topic]++
	op, b := letter('P', topic, w.numbers[topic], size, "-")
	from := w.alive[w.rng.IntN(len(w.alive))]
	key := fmt.Sprint(w.rng.IntN(3))
	var d engine.Delivery
	var err error
	var skip *subject
	release := engine.Hold(w.srv) // OnError of one that the publish closes may close another
	open, ending := w.subscribers(topic)
	switch w.rng.IntN(4) {
	case 0:
		skip = from
		d, err = from.ws.Publish(topic, engine.Message{Op: op, Data: b})
	case 1:
		d, err = w.srv.Publish(topic, engine.Message{Op: op, Data: b, Key: key})
	default:
		d, err = w.srv.Publish(topic, engine.Message{Op: op, Data: b})
	}
	release()
	if err != nil && !errors.Is(err, engine.ErrBackpressure) {
		w.t.Error(err)
	}
	want := 0
	for _, s := range open {
		if s != skip {
			want++
			s.topics[topic].meant++
		}
	}
	if n := d.Subscribers(); w.counts && (n < want || n > want+ending) {
		w.t.Errorf("[counts] a publish to %s counts %+v, %d are open, and %d about to be dropped", topic, d, want, ending)
	}
}

// subscribers are the open connections that subscribe to a topic. ending counts those
// that a loop is about to drop for want of memory, which takes it some iterations: they
// are open no longer, and leave the topic with the next one.
func (w *world) subscribers(topic string) (open []*subject, ending int) {
	for _, s := range w.alive {
		switch {
		case s.topics[topic] == nil:
		case engine.IsOpen(s.ws):
			open = append(open, s)
		case w.limits.MaxMemory > 0 && engine.PhaseOf(s.ws) == "open" && s.closedAt.Load() == 0:
			ending++
		}
	}
	return open, ending
}
