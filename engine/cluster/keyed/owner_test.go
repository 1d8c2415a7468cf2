package keyed_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// An owner has so many values in a topic and no more, until one of them is deleted, expires,
// or is another's. Other owners, topics and values of nobody have nothing to do with it.
func TestOwnersAreBounded(t *testing.T) {
	const lifetime = 20 * time.Second
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{MaxOwned: 2, Lifetime: lifetime})
		set := func(owner, topic, key string, want error) {
			t.Helper()
			if err := n.SetFor(owner, topic, key, []byte("x")); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s sets %s of %s: %v, want %v", owner, key, topic, err, want)
			}
		}
		set("ann", "room", "a", nil)
		set("ann", "room", "b", nil)
		set("ann", "room", "a", nil)
		set("ann", "room", "c", keyed.ErrOwner)
		set("ann", "other", "c", nil)
		set("bob", "room", "c", nil)
		set("ann", "room", "c", keyed.ErrOwner)
		n.set("d", "of nobody")
		n.delete("a")
		set("ann", "room", "e", nil)
		set("ann", "room", "a", keyed.ErrOwner)
		set("bob", "room", "b", nil)
		set("ann", "room", "a", nil)
		set("bob", "room", "f", keyed.ErrOwner)
		time.Sleep(lifetime + time.Second)
		set("ann", "room", "g", nil)
		set("ann", "room", "h", nil)
		set("ann", "room", "i", keyed.ErrOwner)
	})
}
