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
	open := w.subscribers(topic)
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
	if w.counts && d.Subscribers() != want {
		w.t.Errorf("[counts] a publish to %s counts %+v, %d are open", topic, d, want)
	}
}

// subscribers are the open connections that subscribe to a topic.
func (w *world) subscribers(topic string) (open []*subject) {
	for _, s := range w.alive {
		if s.topics[topic] != nil && engine.IsOpen(s.ws) {
			open = append(open, s)
		}
	}
	return open
}
