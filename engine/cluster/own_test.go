package cluster_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// late is a broker that delivers nothing live.
type late struct{ cluster.Broker }

func (late) Follow(string, cluster.Listener) (func(), error) { return func() {}, nil }

// A page of the last messages has what this node has published and what was acknowledged,
// though it has not been delivered yet: in a topic that is followed, one that is not, and
// after the store was replaced.
func TestBeforeReadsOwnWrites(t *testing.T) {
	for _, followed := range []bool{true, false} {
		bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
			n := startNode(t, late{store.Connect()}, cluster.Config{CheckEvery: 24 * time.Hour})
			if followed {
				subscribe(t, n, cluster.Position{})
			}
			last := func(want ...string) {
				t.Helper()
				page, err := n.Before(t.Context(), topic, cluster.Position{}, cluster.Budget{Messages: 3})
				var got []string
				for _, m := range page.Messages {
					got = append(got, m.ID)
				}
				if err != nil || page.Lost {
					t.Errorf("%+v, %v", page, err)
				}
				expect(t, got, want...)
			}
			write := func(id string) {
				t.Helper()
				if _, err := n.Publish(t.Context(), topic, id, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, id := range numbers(1, 3) {
				write(id)
				last(numbers(1, int(id[1]-'0'))...)
			}
			before := n.Stats()
			for range 10 {
				last("m1", "m2", "m3")
			}
			if after := n.Stats(); followed && (after.Heads != before.Heads || after.Reads != before.Reads) {
				t.Errorf("the broker was asked without a new publish: before %+v, after %+v", before, after)
			}
			store.Stop()
			store.Wipe()
			store.Start()
			write("n1")
			last("n1")
			last("n1")
		})
	}
}
