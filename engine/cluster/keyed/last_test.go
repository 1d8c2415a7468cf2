package keyed_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// A value that is set again, the same as before, is later than another one that was set
// meanwhile by a node that was cut off; and nobody gets it again before.
func TestTheSameSetAgainIsTheLast(t *testing.T) {
	for name, meanwhile := range map[string]func(a, b *node, at *client){
		"watched":         func(*node, *node, *client) {},
		"watched no more": func(_, _ *node, at *client) { at.Close(); time.Sleep(time.Minute) },
		"watched again": func(a, _ *node, at *client) {
			at.Close()
			time.Sleep(time.Minute)
			a.subscribe(false)
			settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
				config := keyed.Config{Lifetime: time.Hour}
				a, b, c := startNode(t, store, config), startNode(t, store, config), startNode(t, store, config)
				here, there, third := a.subscribe(false), b.subscribe(false), c.subscribe(false)
				a.set("k", "X")
				a.set("deleted", "X")
				settle()
				time.Sleep(5 * time.Second)
				b.conn.Cut()
				b.set("k", "Y")
				b.delete("deleted")
				b.set("later", "of b")
				time.Sleep(5 * time.Second)
				a.set("k", "X")
				a.set("deleted", "X")
				settle()
				if third.values != 2 {
					t.Errorf("%d values, want those of the beginning", third.values)
				}
				a.set("later", "of a") // which b's next is behind
				time.Sleep(time.Second)
				b.set("later", "of b again")
				meanwhile(a, b, here)
				b.conn.Heal()
				time.Sleep(time.Minute)
				want := values{"k": "X", "deleted": "X", "later": "of b again"}
				there.expect(want)
				third.expect(want)
				a.subscribe(false)
				settle()
				last := a.subscribe(false)
				settle()
				last.expect(want)
			})
		})
	}
}
