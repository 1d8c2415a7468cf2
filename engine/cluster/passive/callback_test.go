package passive_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/passive"
)

// note may call the library: nothing is locked meanwhile, and Close waits for everything
// but the callback that it is called in.
func TestNoteMayCallBack(t *testing.T) {
	for name, call := range map[string]func(*node, *passive.Watch){
		"Close":       func(n *node, _ *passive.Watch) { n.Close() },
		"Watch.Close": func(_ *node, w *passive.Watch) { w.Close() },
		"Add":         func(n *node, _ *passive.Watch) { n.add("room") },
		"Count":       func(_ *node, w *passive.Watch) { w.Count() },
		"Watch": func(n *node, _ *passive.Watch) {
			if _, err := n.Watch("room", nil); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := startNode(t, clustertest.NewStore(clustertest.Options{}))
				var watch atomic.Pointer[passive.Watch]
				var called, done atomic.Bool
				w, err := n.Watch("room", func(passive.Note) {
					if !called.Swap(true) {
						call(n, watch.Load())
						done.Store(true)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				watch.Store(w)
				n.add("room")
				time.Sleep(time.Minute)
				if !done.Load() {
					t.Error("the callback was not called, or has not returned")
				}
			})
		})
	}
}
