package natsbroker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
)

// Of three servers, one may end. With two away, a node learns that nothing is stored, also
// from a leader that is left and does not know yet; with one back it is.
func TestQuorumOfThreeServers(t *testing.T) {
	s := startThree(t)
	b := connectWhenFormed(t, natsbroker.Config{
		URL: s.clients[0].url(), Shards: 2, Replicas: 3, ProbeEvery: time.Second,
		Options: []nats.Option{nats.IgnoreDiscoveredServers()},
	})
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return b.Quorum(ctx)
	}
	until(t, "the streams can store", func() bool { return ask() == nil })
	s.stop(1)
	until(t, "the streams have leaders", func() bool { return ask() == nil })
	s.stop(2)
	until(t, "nothing can be stored", func() bool { return errors.Is(ask(), natsbroker.ErrNoQuorum) })
	s.start(2)
	until(t, "the streams can store again", func() bool { return ask() == nil })
}
