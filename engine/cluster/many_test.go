package cluster_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// A node has nothing of topics without subscribers on it, however many the store has and
// however much is published to them.
func TestTopicsWithoutSubscribersCostNothing(t *testing.T) {
	const count = 20_000
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		broker, publisher := store.Connect(), store.Connect()
		n := startNode(t, broker, cluster.Config{})
		s := subscribe(t, n, cluster.Position{})
		for i := range count {
			if _, err := publisher.Publish(t.Context(), fmt.Sprint("topic ", i), "", nil); err != nil {
				t.Fatal(err)
			}
		}
		before := n.Stats()
		publish(t, publisher, "m1")
		synctest.Wait()
		expect(t, rest(t, s), "m1")
		after := n.Stats()
		if followed := broker.Followed(); followed != 1 || after.Topics != 1 || n.Kept().Messages > 1 {
			t.Errorf("%d followed, %+v, %+v kept", followed, after, n.Kept())
		}
		if reads := after.Reads + after.Heads - before.Reads - before.Heads; reads > 2 {
			t.Errorf("%d reads for one message", reads)
		}
	})
}

// BenchmarkTopics reports what a topic costs a node that follows it for a subscriber who
// is up to date, and what it costs with one new message of 100 bytes.
func BenchmarkTopics(b *testing.B) {
	const count = 100_000
	for range b.N {
		store := clustertest.NewStore(clustertest.Options{})
		n := cluster.NewNode(store.Connect(), cluster.Config{})
		names := make([]string, count)
		for i := range names {
			names[i] = fmt.Sprint("topic ", i)
		}
		publisher, data := store.Connect(), make([]byte, 100)
		publish := func() { // so that the next message follows one
			for _, name := range names {
				if _, err := publisher.Publish(b.Context(), name, "", data); err != nil {
					b.Fatal(err)
				}
			}
		}
		publish()
		before := heap()
		for _, name := range names {
			if _, err := n.Subscribe(b.Context(), name, cluster.Position{}, nil); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/count, "B/topic")
		before = heap()
		publish()
		for n.Kept().Messages < count {
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(heap()-before)/count, "B/message") // in the store and the node
		n.Close()
	}
}

func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
