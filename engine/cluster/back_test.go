package cluster_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// pageIDs reads one page of 4 in front of a position.
func pageIDs(t *testing.T, n *cluster.Node, at cluster.Position) (page cluster.Page, ids []string) {
	t.Helper()
	page, err := n.Before(t.Context(), topic, at, cluster.Budget{Messages: 4})
	if err != nil {
		t.Fatalf("Before: %v", err)
	}
	for _, m := range page.Messages {
		ids = append(ids, m.ID)
	}
	return page, ids
}

// What a node has in memory it does not read again, and what is in front of that
// goes on without a hole.
func TestScrollFromMemory(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		publish(t, conn, numbers(1, 10)...)
		n := startNode(t, store.Connect(), cluster.Config{Ring: cluster.Budget{Messages: 6}})
		s := subscribe(t, n, cluster.Position{})
		page, ids := pageIDs(t, n, s.Position()) // the ring is empty
		expect(t, ids, numbers(6, 9)...)
		publish(t, conn, numbers(11, 20)...)
		synctest.Wait()
		before := n.Stats().Reads
		page, ids = pageIDs(t, n, cluster.Position{})
		expect(t, ids, numbers(17, 20)...)
		page, ids = pageIDs(t, n, page.Position)
		expect(t, ids, numbers(15, 16)...) // all that the ring has
		if got := n.Stats().Reads - before; got != 0 {
			t.Errorf("%d reads of what is in memory", got)
		}
		var all []string
		for !page.Begin {
			page, ids = pageIDs(t, n, page.Position)
			all = append(ids, all...)
		}
		expect(t, all, numbers(1, 14)...)
	})
}

// A position of a store that is gone, or that is not kept, is lost, and the zero
// position begins anew. The position of an empty topic has nothing in front.
func TestScrollIsLost(t *testing.T) {
	bubble(t, clustertest.Options{MaxPerTopic: 3}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, store.Connect(), cluster.Config{})
		empty, _ := pageIDs(t, n, cluster.Position{})
		old := publish(t, conn, "m1")
		publish(t, conn, "m2", "m3", "m4")
		for name, at := range map[string]cluster.Position{
			"not kept":                old,
			"another id":              {Epoch: old.Epoch, Offset: old.Offset, ID: "x"},
			"the future":              {Epoch: old.Epoch, Offset: old.Offset + 1000, ID: "x"},
			"no id":                   {Epoch: old.Epoch, Offset: old.Offset + 2},
			"no id, of another store": {Epoch: "another", Offset: old.Offset},
			"begin of another store":  {Epoch: "another"},
		} {
			if page, ids := pageIDs(t, n, at); !page.Lost || len(ids) > 0 {
				t.Errorf("%s: %+v", name, page)
			}
		}
		page, ids := pageIDs(t, n, empty.Position)
		if !empty.Begin || !page.Begin || page.Lost || len(ids) > 0 {
			t.Errorf("an empty topic: %+v, then %+v", empty, page)
		}
		at := publish(t, conn, "m5")
		store.Wipe()
		publish(t, conn, "n1", "n2")
		if page, _ := pageIDs(t, n, at); !page.Lost {
			t.Errorf("another epoch: %+v", page)
		}
		page, ids = pageIDs(t, n, cluster.Position{})
		for !page.Begin {
			var older []string
			page, older = pageIDs(t, n, page.Position)
			ids = append(older, ids...)
		}
		expect(t, ids, "n1", "n2")
		if _, err := n.Before(t.Context(), "", at, cluster.Budget{}); !errors.Is(err, cluster.ErrTopic) {
			t.Errorf("no topic: %v", err)
		}
		n.Close()
		if _, err := n.Before(t.Context(), topic, at, cluster.Budget{}); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// Where memory has more than the store, scrolling back ends in front of what memory has,
// and so does the first page where the store has nothing any more.
func TestScrollBeginsWhereTheStoreHasNothingOlder(t *testing.T) {
	bubble(t, clustertest.Options{MaxPerTopic: 10, MaxAge: time.Hour}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, store.Connect(), cluster.Config{})
		publish(t, conn, "m0")
		subscribe(t, n, cluster.Position{})
		for _, id := range numbers(1, 30) {
			publish(t, conn, id)
			synctest.Wait()
		}
		var all []string
		page, ids := pageIDs(t, n, cluster.Position{})
		for all = ids; !page.Begin && !page.Lost; all = append(ids, all...) {
			page, ids = pageIDs(t, n, page.Position)
		}
		if page.Lost {
			t.Errorf("ends in Lost")
		}
		expect(t, all, numbers(1, 30)...)

		quiet := startNode(t, store.Connect(), cluster.Config{})
		subscribe(t, quiet, cluster.Position{}) // its ring is empty
		time.Sleep(2 * time.Hour)
		if page, ids := pageIDs(t, quiet, cluster.Position{}); !page.Begin || page.Lost || len(ids) > 0 {
			t.Errorf("after everything has expired: %+v", page)
		}
		store.Wipe()
		publish(t, conn, "n1")
		if page, _ := pageIDs(t, n, page.Position); !page.Lost {
			t.Errorf("another store: %+v", page)
		}
	})
}

// A position that no store has given has no page, whatever is known of the topic.
func TestScrollFromForgedPositions(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, store.Connect(), cluster.Config{Ring: cluster.Budget{Messages: 2}})
		at := publish(t, conn, numbers(1, 20)...)
		for range 2 { // the second time the node knows the distance of messages
			for _, offset := range []uint64{0, 1, at.Offset, at.Offset + 1, math.MaxUint64} {
				if page, ids := pageIDs(t, n, cluster.Position{Epoch: at.Epoch, Offset: offset, ID: "x"}); !page.Lost || len(ids) > 0 {
					t.Errorf("offset %d: %+v", offset, page)
				}
			}
			pageIDs(t, n, at)
		}
	})
}
