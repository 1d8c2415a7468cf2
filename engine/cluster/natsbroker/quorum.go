package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// ErrNoQuorum is wrapped by what Quorum returns when a stream said itself that it cannot
// store.
var ErrNoQuorum = errors.New("too few servers of a stream are up for it to store")

// silentAfter is how long a leader may not have heard of a server: they beat once a second.
const silentAfter = 5 * time.Second

// Quorum asks each stream whether it can store now. The error says which one cannot, and
// wraps ErrNoQuorum, or cluster.ErrUnavailable where the stream gave no answer. A stream whose
// leader ended chooses another within 10 s and cannot store until then: call Quorum again.
func (b *Broker) Quorum(ctx context.Context) error {
	ctx, cancel := b.within(ctx)
	defer cancel()
	var asking sync.WaitGroup
	results := make([]error, len(b.shards))
	for i, s := range b.shards {
		asking.Go(func() { results[i] = s.quorum(ctx) })
	}
	asking.Wait()
	for _, err := range results {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *shard) quorum(ctx context.Context) error {
	stream, err := s.broker.js.Stream(ctx, s.stream())
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil // asking for it makes it
	case err != nil:
		return unavailable(fmt.Errorf("stream %s: %w", s.stream(), err))
	}
	return electorate(s.stream(), stream.CachedInfo().Cluster, silentAfter)
}

// electorate returns why a stream cannot store, as its leader sees it, which has to have heard
// of more than half of the servers within a time.
func electorate(stream string, c *jetstream.ClusterInfo, within time.Duration) error {
	if c == nil { // a server on its own
		return nil
	}
	if c.Leader == "" {
		return fmt.Errorf("natsbroker: stream %s has no leader: %w: %w", stream, cluster.ErrUnavailable, ErrNoQuorum)
	}
	heard := 1
	for _, r := range c.Replicas {
		if r.Active > 0 && r.Active < within {
			heard++
		}
	}
	if all := 1 + len(c.Replicas); 2*heard <= all {
		return fmt.Errorf("natsbroker: stream %s: its leader hears of %d of %d servers: %w: %w", stream, heard, all, cluster.ErrUnavailable, ErrNoQuorum)
	}
	return nil
}
