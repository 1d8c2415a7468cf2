package natsbroker

import (
	"context"
	"errors"
	"time"
)

const (
	// beatEvery is the time between two questions to the leader of a stream of which somebody
	// follows a topic. An answer comes by the way that live messages come.
	beatEvery = time.Second
	// silence is how long a leader may not have answered until what it sent may be lost.
	silence = 3 * time.Second
)

// ErrNotHeard is a reason for a gap: the leader of the stream was not heard for a while. A server
// between may have lost it, or this process was stopped.
var ErrNotHeard = errors.New("natsbroker: the leader of the stream was not heard for a while")

// Heard implements cluster.Broker.
func (b *Broker) Heard(topic string) time.Time {
	return b.began.Add(time.Duration(b.shardOf(topic).heard.Load()))
}

// beats asks the leaders again and again, until the end.
func (b *Broker) beats() {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.ended:
			return
		}
		for _, s := range b.shards {
			if s.followers.Load() > 0 && s.beating.CompareAndSwap(false, true) {
				b.work.Go(s.beat)
			}
		}
	}
}

// beat asks the leader. If it was silent there is a gap, before anybody relies on the answer.
func (s *shard) beat() {
	defer s.beating.Store(false)
	ctx, cancel := s.broker.within(context.Background())
	defer cancel()
	state, err := s.ask(ctx, time.Now())
	if err != nil {
		return // nothing is proven
	}
	s.broker.noticeReconnect() // before anything that came after it
	at := state.asked.Sub(s.broker.began)
	if at-time.Duration(s.heard.Load()) > silence {
		s.gap(ErrNotHeard)
	}
	s.heard.Store(int64(at))
}

// gap reports a gap of the topics of the stream.
func (s *shard) gap(reason error) {
	b := s.broker
	b.gapping.Lock()
	b.tellGap(reason, func(f subscriber) bool {
		one, is := f.(*follower)
		return is && b.shardOf(one.topic) == s
	})
	b.gapping.Unlock()
	b.onGap(reason)
}

// followed notes one who follows a topic of the stream, until the returned function is called,
// once. To the first one nothing of before is missing.
func (s *shard) followed() (left func()) {
	if s.followers.Add(1) == 1 {
		s.heard.Store(int64(time.Since(s.broker.began)))
	}
	return func() { s.followers.Add(-1) }
}
