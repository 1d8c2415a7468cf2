package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

const topic = "room"

// bubble runs a test on a clock that moves when everything waits.
func bubble(t *testing.T, options clustertest.Options, run func(t *testing.T, store *clustertest.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, clustertest.NewStore(options)) })
}

// startNode returns a node of the store that ends with the test.
func startNode(t *testing.T, broker cluster.Broker, config cluster.Config) *cluster.Node {
	t.Helper()
	n := cluster.NewNode(broker, config)
	t.Cleanup(n.Close)
	return n
}

func subscribe(t *testing.T, n *cluster.Node, from cluster.Position) *cluster.Subscription {
	t.Helper()
	s, err := n.Subscribe(t.Context(), topic, from, nil)
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return s
}

// publish stores messages with these ids and returns the position of the last.
func publish(t *testing.T, b cluster.Broker, ids ...string) cluster.Position {
	t.Helper()
	var at cluster.Position
	for _, id := range ids {
		ack, err := b.Publish(t.Context(), topic, id, []byte("data of "+id))
		if err != nil {
			t.Fatalf("Publish %s: %v", id, err)
		}
		at = ack.Position
	}
	return at
}

// rest returns the ids of all that s has now, "LOST" for what is lost.
func rest(t *testing.T, s *cluster.Subscription) []string {
	t.Helper()
	got := []string{}
	for {
		batch, err := s.Next(t.Context(), cluster.Budget{})
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		if batch.Lost {
			got = append(got, "LOST")
		}
		for _, m := range batch.Messages {
			got = append(got, m.ID)
		}
		if !batch.More {
			return got
		}
	}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// numbers returns ids first to last.
func numbers(first, last int) (ids []string) {
	for i := first; i <= last; i++ {
		ids = append(ids, fmt.Sprintf("m%d", i))
	}
	return ids
}
