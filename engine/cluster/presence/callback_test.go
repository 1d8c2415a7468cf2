package presence_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Callbacks may call the library: nothing is locked meanwhile, and Close waits for
// everything but the callback that it is called in.
func TestCallbacksMayCallBack(t *testing.T) {
	for name, call := range map[string]func(*node, *presence.Watch){
		"Close":       func(n *node, _ *presence.Watch) { n.Close() },
		"Watch.Close": func(_ *node, w *presence.Watch) { w.Close() },
		"Join":        func(n *node, _ *presence.Watch) { n.join("room", "from a callback") },
		"Watch": func(n *node, _ *presence.Watch) {
			if _, err := n.Watch("room", nil); err != nil {
				t.Error(err)
			}
		},
		"State": func(_ *node, w *presence.Watch) { w.State() },
		"Page": func(_ *node, w *presence.Watch) {
			if _, err := w.Page("", 1); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run("update "+name, func(t *testing.T) {
			bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
				n := startNode(t, store, presence.Config{})
				var watch atomic.Pointer[presence.Watch]
				var called, done atomic.Bool
				w, err := n.Watch("room", func(presence.Update) {
					if !called.Swap(true) {
						call(n, watch.Load())
						done.Store(true)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				watch.Store(w)
				n.join("room", "somebody")
				time.Sleep(5 * time.Second)
				if !done.Load() {
					t.Error("the callback was not called, or has not returned")
				}
			})
		})
		t.Run("Level "+name, func(t *testing.T) {
			bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
				var n *node
				var w *presence.Watch
				within := true
				n = startNode(t, store, presence.Config{Level: func(string) presence.Level {
					if !within {
						within = true
						call(n, w)
						within = false
					}
					return presence.Full
				}})
				var err error
				if w, err = n.Watch("room", nil); err != nil {
					t.Fatal(err)
				}
				within = false
				_, _ = n.Join("room", "somebody")
				_, _ = n.Watch("room", nil)
				_, _ = w.Page("", 1)
				within = true
			})
		})
	}
}
