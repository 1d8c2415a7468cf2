package natsbroker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// Thousands of plain topics are as many subscriptions of the server, and those are gone
// after the topics are: package relay has the times.
func TestThousandsOfTopicsAreSubscriptions(t *testing.T) {
	const count = 5000
	l, b := startLagging(t)
	r, err := relay.Join(&engine.Server{}, b, relay.Config{Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := b.Head(t.Context(), topic); err != nil { // what b subscribes to itself is in front of the answer
		t.Fatal(err)
	}
	before := l.server.NumSubscriptions()
	for range 3 {
		for i := range count {
			r.TopicOpened(fmt.Sprint("topic ", i))
		}
		until(t, "it is subscribed to all", func() bool { return l.server.NumSubscriptions() == before+count })
		for i := range count {
			r.TopicClosed(fmt.Sprint("topic ", i))
		}
		until(t, "no subscription is left", func() bool { return l.server.NumSubscriptions() == before })
	}
	if s := r.Stats(); s.Topics+s.Quiet > 0 {
		t.Errorf("%+v", s)
	}
}
