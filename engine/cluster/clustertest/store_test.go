package clustertest_test

import (
	"fmt"
	"testing"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

func TestStoreIsABroker(t *testing.T) {
	clustertest.TestBroker(t, 20, func(*testing.T) (a, b cluster.Broker) {
		store := clustertest.NewStore(clustertest.Options{MaxPerTopic: 20})
		return store.Connect(), store.Connect()
	})
}

// The choice of faults is that of the seed.
func TestSeedChoosesFaults(t *testing.T) {
	outcome := func(seed uint64) (s string) {
		store := clustertest.NewStore(clustertest.Options{Seed: seed, Faults: clustertest.Faults{LoseAck: 0.5}})
		broker := store.Connect()
		for i := range 40 {
			ack, err := broker.Publish(t.Context(), "room", fmt.Sprint(i), nil)
			s += fmt.Sprint(ack.Position.Offset, err == nil, " ")
		}
		return s
	}
	if first, again, other := outcome(1), outcome(1), outcome(2); first != again || first == other {
		t.Error("one seed gives two outcomes, or two seeds one")
	}
}

func TestConnectionsAreABus(t *testing.T) {
	clustertest.TestBus(t, func(*testing.T) (a, b cluster.Bus) {
		store := clustertest.NewStore(clustertest.Options{})
		return store.Connect(), store.Connect()
	})
}
