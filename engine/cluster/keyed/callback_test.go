package keyed_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// notify may call the library: nothing is locked meanwhile, and Close waits for
// everything but the callback that it is called in.
func TestNotifyMayCallBack(t *testing.T) {
	for name, call := range map[string]func(*node, *keyed.Subscription){
		"Close":              func(n *node, _ *keyed.Subscription) { n.Close() },
		"Subscription.Close": func(_ *node, s *keyed.Subscription) { s.Close() },
		"Set":                func(n *node, _ *keyed.Subscription) { n.set("a", "from a callback") },
		"Delete":             func(n *node, _ *keyed.Subscription) { n.delete("a") },
		"Subscribe": func(n *node, _ *keyed.Subscription) {
			if _, err := n.Subscribe("room", nil); err != nil {
				t.Error(err)
			}
		},
		"Next": func(_ *node, s *keyed.Subscription) {
			if _, err := s.Next(0); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
				n := startNode(t, store, keyed.Config{})
				var subscription atomic.Pointer[keyed.Subscription]
				var called, done atomic.Bool
				s, err := n.Subscribe("room", func() {
					if s := subscription.Load(); s != nil && !called.Swap(true) {
						call(n, s)
						done.Store(true)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				subscription.Store(s)
				if _, err := s.Next(0); err != nil {
					t.Fatal(err)
				}
				n.set("a", "1")
				time.Sleep(5 * time.Second)
				if !done.Load() {
					t.Error("the callback was not called, or has not returned")
				}
			})
		})
	}
}
