package live_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// counting is a broker that counts reads of history.
type counting struct {
	cluster.Broker
	reads atomic.Int32
}

func (c *counting) Read(ctx context.Context, topic string, from uint64, max cluster.Budget) ([]cluster.Message, error) {
	c.reads.Add(1)
	return c.Broker.Read(ctx, topic, from, max)
}

// Clients of one room come back to a node that does not know it, while it is published
// to (C14): each gets what it missed and what is new, once and in order, and the
// history is read once. Their number is bounded by descriptors; package cluster has
// the same with 10 000 subscriptions.
func TestEverybodyComesBackAtOnce(t *testing.T) {
	clients := 600
	if testing.Short() {
		clients = 100
	}
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	at := put(t, conn, "room", "m0")
	put(t, conn, "room", numbers(1, 100)...)
	broker := &counting{Broker: store.Connect()}
	s := openSite(t, broker, options{limits: engine.Limits{WriteTimeout: -1, PingInterval: -1}})
	seen, err := s.node.Subscribe(t.Context(), "room", cluster.Position{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()
	var all sync.WaitGroup
	var came atomic.Int32
	var failed atomic.Bool
	read := func(p *peer) error {
		for next := 1; ; {
			f, err := p.read()
			if err != nil || f.Reset {
				return fmt.Errorf("before %d: %+v, %w", next, f, err)
			}
			for _, m := range f.Messages {
				switch m.Data {
				case "end":
					return nil
				case fmt.Sprint("m", next):
					next++
				default:
					return fmt.Errorf("%s instead of m%d", m.Data, next)
				}
			}
		}
	}
	gate := make(chan struct{}, 64) // connecting at a time
	for range clients {
		all.Go(func() {
			gate <- struct{}{}
			p, err := dial(s.addr)
			if err == nil {
				_ = p.nc.SetReadDeadline(time.Now().Add(patience))
				err = p.ask(command{Topic: "room", From: at})
			}
			<-gate
			came.Add(1)
			if err == nil {
				err = read(p)
				p.close()
			}
			if err != nil && !failed.Swap(true) {
				t.Errorf("a client: %v", err)
			}
		})
	}
	for i := range 80 { // fewer than memory keeps, while they come
		until(t, "some more have come", func() bool { return int(came.Load()) >= min(i*clients/80, clients) })
		at := put(t, conn, "room", fmt.Sprint("m", 101+i))
		until(t, "the node has it", func() bool { _, ok := seen.Have(cluster.Budget{}); return ok && seen.Position() == at })
	}
	put(t, conn, "room", "end")
	all.Wait()
	if n := broker.reads.Load(); n > 1 {
		t.Errorf("%d reads of history, want 1", n)
	}
	st := s.topics.Stats()
	t.Logf("%d clients: %+v", clients, st)
	if st.Resets > 0 || len(s.ended) > 0 {
		t.Errorf("%+v", st)
	}
}
