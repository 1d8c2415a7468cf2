package relay_test

import (
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// Config.Local may call the server and the Relay: nothing is locked meanwhile, and Close
// waits for everything but the call that it is called in.
func TestLocalMayCallBack(t *testing.T) {
	for name, call := range map[string]func(*node){
		"Subscribers": func(n *node) { n.Topic("room").Subscribers() },
		"Publish": func(n *node) {
			if _, err := n.Publish("room", engine.TextMessage("from a callback")); err != nil {
				t.Error(err)
			}
		},
		"Stats": func(n *node) { n.Stats() },
		"Close": func(n *node) { n.Relay.Close() },
	} {
		for _, event := range []string{"opens", "publishes"} {
			t.Run(name+" when it "+event, func(t *testing.T) {
				var itself atomic.Pointer[node]
				var called, done atomic.Bool
				local := func(string) bool {
					if n := itself.Load(); n != nil && !called.Swap(true) {
						call(n)
						done.Store(true)
					}
					return false
				}
				store := clustertest.NewStore(clustertest.Options{})
				n := startNode(t, store.Connect(), relay.Config{Tail: never, Local: local}, nil)
				if event == "publishes" {
					n.publish("other", "first")
				}
				itself.Store(n)
				if event == "opens" {
					n.join("room")
				} else if _, err := n.Publish("other", engine.TextMessage("second")); err != nil && name != "Close" {
					t.Error(err)
				}
				until(t, "the callback has returned", done.Load)
			})
		}
	}
}
