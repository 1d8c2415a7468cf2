package service

import (
	"context"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// CrewSize is how many goroutines wait for the store.
const CrewSize = crewSize

// PriceSends has each send of the nodes that start from now on cost d, until the test ends.
func PriceSends(t *testing.T, d time.Duration) {
	before := sendCost
	sendCost = d
	t.Cleanup(func() { sendCost = before })
}

// AdviceFor is what the log says of a refused token.
func AdviceFor(reason auth.Reason) string { return advice[reason] }

// MarkersLive is how long the store keeps read positions; 0: for ever.
func MarkersLive(ctx context.Context, s *Service) (time.Duration, error) {
	bucket, err := s.markers.open(ctx)
	if err != nil {
		return 0, err
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return 0, err
	}
	return status.TTL(), nil
}

// Store stores a message as an earlier version may have: with a body that nobody checks.
func Store(ctx context.Context, s *Service, topic, id string, body []byte) (*protocol.Published, error) {
	return s.publish(ctx, topic, id, body)
}

// Memory is what the connections of a node make it hold.
func Memory(s *Service) engine.Memory { return s.server.Memory() }

// Break has questions to the store about a message panic, from before there are clients.
func Break(s *Service) { s.broker = broken{s.broker} }

type broken struct{ cluster.Broker }

func (broken) Read(context.Context, string, uint64, cluster.Budget) ([]cluster.Message, error) {
	panic("a fault of the program")
}
