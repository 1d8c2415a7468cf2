package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// notify may call the library, on whichever goroutine it is: nothing is locked meanwhile,
// and Close waits for everything but the callback that it is called in.
func TestNotifyMayCallBack(t *testing.T) {
	for name, call := range map[string]func(*cluster.Node, *cluster.Subscription){
		"Close":              func(n *cluster.Node, _ *cluster.Subscription) { n.Close() },
		"Subscription.Close": func(_ *cluster.Node, s *cluster.Subscription) { s.Close() },
		"Have":               func(_ *cluster.Node, s *cluster.Subscription) { s.Have(cluster.Budget{}) },
		"Stats":              func(n *cluster.Node, _ *cluster.Subscription) { n.Stats(); n.Kept() },
		"Publish": func(n *cluster.Node, _ *cluster.Subscription) {
			if _, err := n.Publish(context.Background(), topic, "", nil); err != nil {
				t.Error(err)
			}
		},
		"Join": func(n *cluster.Node, _ *cluster.Subscription) {
			if _, err := n.Join(topic, cluster.Position{}, nil); err != nil {
				t.Error(err)
			}
		},
		"Subscribe": func(n *cluster.Node, _ *cluster.Subscription) {
			if _, err := n.Subscribe(context.Background(), "other", cluster.Position{}, nil); err != nil {
				t.Error(err)
			}
		},
	} {
		for where, trigger := range map[string]func(*clustertest.Store, cluster.Broker){
			"of the broker": func(_ *clustertest.Store, b cluster.Broker) { publish(t, b, "m1") },
			"of the node": func(store *clustertest.Store, b cluster.Broker) { // by a round
				store.Stop()
				store.Wipe()
				store.Start()
			},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
					b := store.Connect()
					publish(t, b, "m0")
					n := startNode(t, b, cluster.Config{})
					var subscription atomic.Pointer[cluster.Subscription]
					var called, done atomic.Bool
					s, err := n.Subscribe(t.Context(), topic, cluster.Position{}, func() {
						if !called.Swap(true) {
							call(n, subscription.Load())
							done.Store(true)
						}
					})
					if err != nil {
						t.Fatal(err)
					}
					subscription.Store(s)
					expect(t, rest(t, s))
					trigger(store, b)
					time.Sleep(time.Minute)
					if !done.Load() {
						t.Error("the callback was not called, or has not returned")
					}
				})
			})
		}
	}
}
