package cluster_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// What the store does not keep any more is in memory while somebody is subscribed. It is
// no page of history, and nobody who comes back gets it.
func TestHistoryIsWhatTheStoreKeeps(t *testing.T) {
	for name, c := range map[string]struct {
		keeps cluster.Retention
		want  []string // of history
	}{
		"by number":      {cluster.Retention{Messages: 6}, numbers(5, 10)},
		"by age":         {cluster.Retention{Age: time.Minute}, numbers(6, 10)},
		"by both":        {cluster.Retention{Messages: 6, Age: time.Minute}, numbers(6, 10)},
		"without limits": {cluster.Retention{}, numbers(1, 10)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, clustertest.Options{MaxPerTopic: c.keeps.Messages, MaxAge: c.keeps.Age}, func(t *testing.T, store *clustertest.Store) {
				conn := store.Connect()
				n := startNode(t, store.Connect(), cluster.Config{Retention: func(string) cluster.Retention { return c.keeps }})
				slow := subscribe(t, n, cluster.Position{})
				first := publish(t, conn, "m1")
				publish(t, conn, numbers(2, 5)...)
				time.Sleep(2 * time.Minute)
				sixth := publish(t, conn, "m6")
				publish(t, conn, numbers(7, 10)...)
				time.Sleep(time.Second)

				var got []string
				for at := (cluster.Position{}); ; {
					page, err := n.Before(t.Context(), topic, at, cluster.Budget{})
					if err != nil || page.Lost {
						t.Fatalf("%+v, %v", page, err)
					}
					for i := len(page.Messages) - 1; i >= 0; i-- {
						got = append([]string{page.Messages[i].ID}, got...)
					}
					if at = page.Position; page.Begin {
						break
					}
				}
				expect(t, got, c.want...)

				again := subscribe(t, n, first)
				if c.keeps == (cluster.Retention{}) {
					expect(t, rest(t, again), numbers(2, 10)...)
				} else {
					expect(t, rest(t, again), "LOST")
				}
				expect(t, rest(t, subscribe(t, n, sixth)), numbers(7, 10)...)
				expect(t, rest(t, slow), numbers(1, 10)...)
			})
		})
	}
}
