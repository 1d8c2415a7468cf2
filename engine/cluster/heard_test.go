package cluster_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// followed is a node whose topic has been followed for a minute, with three messages in memory,
// and the connections of it and of another node.
func followed(t *testing.T, store *clustertest.Store) (n *cluster.Node, conn, other *clustertest.Conn, at cluster.Position) {
	t.Helper()
	conn, other = store.Connect(), store.Connect()
	n = startNode(t, conn, cluster.Config{CheckEvery: 24 * time.Hour})
	subscribe(t, n, cluster.Position{})
	at = publish(t, other, numbers(1, 3)...)
	time.Sleep(time.Minute)
	return n, conn, other, at
}

// ends are the ids of what a node says is behind a position, and the last ones of the topic.
func ends(t *testing.T, n *cluster.Node, at cluster.Position) (behind, last []string, end cluster.Position) {
	t.Helper()
	behind = rest(t, subscribe(t, n, at))
	end = subscribe(t, n, cluster.Position{}).Position()
	_, last = pageIDs(t, n, cluster.Position{})
	return behind, last, end
}

// A node whose broker was not heard for a while, and reports nothing, asks for the end of a
// topic before it answers where that is: to those who resume, who begin, and who ask for the
// last page. While the broker is heard it asks nobody.
func TestWhoHeardNothingAsks(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n, conn, other, at := followed(t, store)
		before := n.Stats()
		for range 10 {
			behind, last, end := ends(t, n, at)
			expect(t, behind)
			expect(t, last, numbers(1, 3)...)
			if end != at {
				t.Errorf("ends at %+v, want %+v", end, at)
			}
		}
		if after := n.Stats(); after.Heads != before.Heads || after.Reads != before.Reads {
			t.Errorf("the broker was asked while it was heard: before %+v, after %+v", before, after)
		}
		conn.Deafen()
		for i := 4; i < 10; i++ {
			was := publish(t, other, numbers(i, i)...)
			time.Sleep(3 * time.Second)
			behind, last, end := ends(t, n, at)
			expect(t, behind, numbers(4, i)...)
			expect(t, last, numbers(max(1, i-3), i)...)
			if end != was {
				t.Errorf("ends at %+v, want %+v", end, was)
			}
		}
		conn.Undeafen()
	})
}

// All who ask at once of a topic whose broker was not heard share one question, or the one
// behind it.
func TestWhoAskAtOnceShareTheQuestion(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n, conn, other, at := followed(t, store)
		conn.Deafen()
		publish(t, other, "m4")
		time.Sleep(time.Minute)
		before := n.Stats()
		var asking sync.WaitGroup
		for range 100 {
			asking.Go(func() {
				behind, last, _ := ends(t, n, at)
				expect(t, behind, "m4")
				expect(t, last, numbers(1, 4)...)
			})
		}
		asking.Wait()
		if asked := n.Stats().Heads - before.Heads; asked == 0 || asked > 2 {
			t.Errorf("300 questions cost %d of the node's", asked)
		}
	})
}

// While a gap is being looked into, nothing is answered about the end from memory, but only
// that.
func TestEndWaitsForTheRoundAfterAGap(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n, conn, other, at := followed(t, store)
		conn.Cut()
		publish(t, other, "m4")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if page, err := n.Before(ctx, topic, cluster.Position{}, cluster.Budget{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v, %v", page, err)
		}
		if _, err := n.Subscribe(ctx, topic, at, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if page, ids := pageIDs(t, n, at); page.Lost {
			t.Errorf("%+v", page)
		} else {
			expect(t, ids, "m1", "m2")
		}
		var asking sync.WaitGroup
		asking.Go(func() {
			behind, last, _ := ends(t, n, at)
			expect(t, behind, "m4")
			expect(t, last, numbers(1, 4)...)
		})
		synctest.Wait()
		conn.Heal()
		asking.Wait()
	})
}
