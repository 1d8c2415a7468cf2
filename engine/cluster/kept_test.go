package cluster_test

import (
	"context"
	"testing"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// readAll reads everything behind a position from s, and returns how many messages that were.
func readAll(t *testing.T, s *cluster.Subscription) (messages int) {
	t.Helper()
	for {
		batch, err := s.Next(t.Context(), cluster.Budget{})
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		messages += len(batch.Messages)
		if !batch.More {
			return messages
		}
	}
}

// publishBytes stores messages of a size.
func publishBytes(t *testing.T, b cluster.Broker, size int, ids ...string) (first cluster.Position) {
	t.Helper()
	for _, id := range ids {
		ack, err := b.Publish(t.Context(), topic, id, make([]byte, size))
		if err != nil {
			t.Fatalf("Publish: %v", err)
		}
		if first.IsZero() {
			first = ack.Position
		}
	}
	return first
}

// Kept counts what was read from history for those who are behind, since it stays in
// memory, and counts nothing twice.
func TestKeptCountsHistory(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, conn, cluster.Config{Ring: cluster.Budget{Messages: 2}})
		first := publishBytes(t, store.Connect(), 9000, numbers(1, 100)...)
		if got := readAll(t, subscribe(t, n, first)); got != 99 {
			t.Fatalf("read %d messages", got)
		}
		conn.Cut() // the broker answers nothing
		s, err := n.Join(topic, first, nil)
		if err != nil {
			t.Fatal(err)
		}
		batch, _ := s.Have(cluster.Budget{})
		if got := n.Kept(); len(batch.Messages) == 0 || got.Messages < len(batch.Messages) || got.Bytes < 9000*len(batch.Messages) {
			t.Errorf("Kept %+v; %d messages came from memory", got, len(batch.Messages))
		}
	})
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store.Connect(), cluster.Config{}) // the ring has room for all
		first := publishBytes(t, store.Connect(), 100, numbers(1, 10)...)
		readAll(t, subscribe(t, n, first))
		if got := n.Kept(); got.Messages != 9 {
			t.Errorf("Kept %+v, want 9 messages", got)
		}
	})
}

// budgets is a broker that notes what Read is asked for.
type budgets struct {
	cluster.Broker
	most cluster.Budget
}

func (b *budgets) Read(ctx context.Context, topic string, from uint64, max cluster.Budget) ([]cluster.Message, error) {
	page, err := b.Broker.Read(ctx, topic, from, max)
	var read cluster.Budget
	for i := range page {
		read.Messages, read.Bytes = read.Messages+1, read.Bytes+len(page[i].Data)
	}
	if read.Bytes > b.most.Bytes {
		b.most = read
	}
	return page, err
}

// Messages that are larger than a page are read one by one, and no more of them are
// read or kept at a time.
func TestPagesOfLargeMessages(t *testing.T) {
	const size = 20_000
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		b := &budgets{Broker: store.Connect()}
		n := startNode(t, b, cluster.Config{Ring: cluster.Budget{Messages: 1}, Page: cluster.Budget{Bytes: 10_000}})
		first := publishBytes(t, store.Connect(), size, numbers(1, 100)...)
		if got := readAll(t, subscribe(t, n, first)); got != 99 {
			t.Errorf("read %d messages", got)
		}
		if b.most.Bytes > 2*size {
			t.Errorf("one read returned %+v", b.most)
		}
		if got := n.Kept(); got.Messages > 2 {
			t.Errorf("Kept %+v", got)
		}
	})
}
