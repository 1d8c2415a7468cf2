package keyed_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// A subscriber of a topic with many lasting keys, in which others come and are gone all
// the time, below its cap, has all in the end and begins once.
func TestSnapshotWhileKeysAreGone(t *testing.T) {
	const lasting, aSecond, lifetime = 3000, 150, 20
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{Lifetime: lifetime * time.Second})
		second := 0
		churn := func(seconds int) {
			for range seconds {
				for i := range lasting {
					if second%10 == 0 { // which keeps them
						n.set(fmt.Sprint("stays ", i), "x")
					}
				}
				for i := range aSecond {
					n.set(fmt.Sprint("typing ", second, " ", i), "x")
					time.Sleep(time.Second / aSecond)
				}
				second++
			}
		}
		churn(lifetime + 10)
		c := n.subscribe(false)
		churn(60)
		time.Sleep(time.Second)
		lasts := 0
		for key := range c.all() {
			if strings.HasPrefix(key, "stays") {
				lasts++
			}
		}
		if lasts != lasting || c.resets != 1 {
			t.Errorf("%d values that last after %d resets, want %d and 1", lasts, c.resets, lasting)
		}
		last := n.subscribe(true) // what there is, in a moment in which nothing changes but time
		last.readAll()
		time.Sleep(time.Second)
		last.readAll()
		c.readAll()
		c.expect(last.all())
	})
}

// Keys that come and go while a subscriber pauses are nothing to it, however many.
func TestKeysThatWereNeverRead(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{Rate: 100})
		c := n.subscribe(true)
		n.set("old", "1")
		c.read(0)
		for i := range 3000 {
			n.set(fmt.Sprint("k", i), "")
			n.delete(fmt.Sprint("k", i))
			if i%10 == 0 {
				n.set(fmt.Sprint("stays ", i), "")
			}
		}
		c.readAll()
		if got := c.all(); len(got) != 301 || c.resets != 1 || c.values != 301 {
			t.Errorf("%d values of %d after %d resets, want 301, all of them, and 1", len(got), c.values, c.resets)
		}
	})
}

// One that has read keys and is further behind than what is remembered of those that are
// gone begins anew, once, and has what there is.
func TestFarBehind(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{Rate: 500, Lifetime: time.Hour})
		c := n.subscribe(true)
		for i := range 3000 {
			n.set(fmt.Sprint("k", i), "")
		}
		c.readAll()
		if got := c.all(); len(got) != 3000 {
			t.Fatalf("%d values, want 3000", len(got))
		}
		for i := range 2900 {
			n.delete(fmt.Sprint("k", i))
			n.set(fmt.Sprint("new ", i%200), fmt.Sprint(i))
		}
		settle()
		if c.notified == 0 {
			t.Error("not notified")
		}
		c.readAll()
		if got := c.all(); len(got) != 300 || c.resets != 2 {
			t.Errorf("%d values after %d resets, want 300 and 2", len(got), c.resets)
		}
	})
}

// All keys of a topic may be gone at once: who has read them has none in the end.
func TestAllGoneAtOnce(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{Lifetime: time.Minute})
		lazy := n.subscribe(true)
		c := n.subscribe(false)
		for i := range 4000 {
			n.set(fmt.Sprint("k", i), "")
		}
		time.Sleep(30 * time.Second)
		lazy.read(100)
		if got := c.all(); len(got) != 4000 {
			t.Errorf("%d values, want 4000", len(got))
		}
		time.Sleep(45 * time.Second)
		c.expect(values{})
		lazy.readAll()
		lazy.expect(values{})
	})
}
