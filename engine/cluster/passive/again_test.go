package passive_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// differ checks that a client that compares each count with the one before it always
// looks, and that JavaScript has the counts exactly.
func differ(t *testing.T, what string, counts ...uint64) {
	t.Helper()
	seen := map[uint64]bool{}
	for _, n := range counts {
		if seen[n] || n > 1<<53-1 {
			t.Errorf("%s: counts %v: one is twice, or above 2^53-1", what, counts)
			return
		}
		seen[n] = true
	}
}

// A message after the counter of its topic has ended has another count than all before.
func TestCountsOfARareTopicDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		a, b := startNode(t, store), startNode(t, store)
		here, there := a.watch("room"), b.watch("room")
		for range 6 {
			a.add("room")
			time.Sleep(12 * time.Minute)
		}
		for _, c := range []*client{here, there} {
			if len(c.list()) != 6 {
				t.Errorf("notes %v of 6 messages", c.list())
			}
			differ(t, "notes", c.list()...)
		}
	})
}

// A client that is away while there is a message, and until its counter has ended, has
// another count when it is back.
func TestCountOfAQuietTopicIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		a, b := startNode(t, store), startNode(t, store)
		var counts []uint64
		for range 4 {
			w := b.watch("room")
			counts = append(counts, w.Count())
			again := w.Count()
			if again != counts[len(counts)-1] {
				t.Errorf("%d, then %d of the same topic", counts[len(counts)-1], again)
			}
			w.Close()
			a.add("room")
			time.Sleep(11 * time.Minute)
		}
		differ(t, "quiet", counts...)
	})
}

// The counts of a node that is started again are others.
func TestCountsAfterARestartDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		b := startNode(t, store)
		there := b.watch("room")
		for range 4 {
			a := startNode(t, store)
			a.add("room")
			time.Sleep(20 * time.Second)
			a.stop()
			time.Sleep(time.Minute)
		}
		if len(there.list()) != 4 {
			t.Errorf("notes %v of 4 messages", there.list())
		}
		differ(t, "restarts", there.list()...)
	})
}

// A counter that ends and begins again between two reports is a message to the others,
// though it may have fallen.
func TestCounterThatBeginsAgainIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		a, b := startNode(t, store), startNode(t, store)
		there := b.watch("room")
		for range 16 { // half of the counters begin below the one before
			a.add("room")
			a.add("room")
			before := time.Now()
			time.Sleep(time.Minute)
			had := len(there.list())
			time.Sleep(time.Until(before.Add(10*time.Minute + time.Millisecond)))
			a.add("room")
			time.Sleep(time.Minute)
			if got := there.list(); len(got) != had+1 {
				t.Errorf("notes %v after %d", got, had)
			}
			time.Sleep(20 * time.Minute)
		}
	})
}
