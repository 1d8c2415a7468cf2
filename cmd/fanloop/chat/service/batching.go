package service

import (
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// sendCost is what a send is taken to cost a loop; 0: it is measured. Tests set it.
var sendCost time.Duration

// batching has all that subscribers of a topic get in a busy room delivered together: in both
// encodings, messages with or without history, presence and keyed values.
func batching() *engine.Batching {
	b := &engine.Batching{SendCost: sendCost}
	for _, e := range encodings {
		for _, kind := range sharedKinds() {
			b.Prefixes = append(b.Prefixes, sharedTopic(e, kind, ""))
		}
	}
	return b
}

// sharedKinds are in the names of the engine's topics.
func sharedKinds() []string {
	all := []string{liveKind, plainKind, presenceKind}
	for kind := range lifetimes {
		all = append(all, kind)
	}
	return all
}

// delayOf is how long what is sent to the subscribers of a topic waits at the moment, about.
func (s *Service) delayOf(topic string) (delay time.Duration) {
	for _, e := range encodings {
		for _, kind := range sharedKinds() {
			delay = max(delay, s.server.Topic(sharedTopic(e, kind, topic)).Delay())
		}
	}
	return delay
}
