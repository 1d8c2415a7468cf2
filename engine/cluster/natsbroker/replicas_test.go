package natsbroker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// The server that leads the stream ends under publishes, and then it comes back
// (C02): everything that was acknowledged is stored once and reaches clients of
// all nodes once, in one order.
func TestLeaderEnds(t *testing.T) {
	s := startThree(t)
	urls := s.clients[0].url() + "," + s.clients[1].url() + "," + s.clients[2].url()
	config := natsbroker.Config{Shards: 1, Replicas: 3, ProbeEvery: time.Second}
	var brokers []*natsbroker.Broker
	var readers []*reader
	for i, d := range s.clients {
		config.URL = d.url() + "," + urls
		config.Options = []nats.Option{nats.DontRandomize()}
		b := connectWhenFormed(t, config)
		n := cluster.NewNode(b, cluster.Config{Timeout: 2 * time.Second})
		t.Cleanup(n.Close)
		brokers, readers = append(brokers, b), append(readers, follow(t, n, cluster.Position{}))
		publishAgain(t, b, fmt.Sprint("first of ", i))
	}
	leader := leaderOf(t, urls, s.options)

	const count = 150
	var publishers sync.WaitGroup
	for i, b := range brokers {
		publishers.Go(func() {
			for k := range count {
				publishAgain(t, b, fmt.Sprint(i, "-", k))
			}
		})
	}
	until(t, "publishes are under way", readers[0].has("0-20"))
	s.stop(leader)
	publishers.Wait()
	s.start(leader)
	publishAgain(t, brokers[leader], "last")
	for _, r := range readers {
		until(t, "the last", r.has("last"))
	}
	stored := readAll(t, brokers[0])
	want := slices.Clone(stored)
	slices.Sort(want)
	if len(slices.Compact(want)) != len(stored) || len(stored) != 3*count+4 {
		t.Errorf("%d messages stored, some twice perhaps, of %d", len(stored), 3*count+4)
	}
	for i, r := range readers {
		if r.lost > 0 || !slices.Equal(r.got, stored[slices.Index(stored, r.got[0]):]) {
			t.Errorf("client %d, %d times lost, got %v; stored %v", i, r.lost, r.got, stored)
		}
	}
}

// connectWhenFormed connects as soon as the servers can make streams.
func connectWhenFormed(t *testing.T, c natsbroker.Config) (b *natsbroker.Broker) {
	t.Helper()
	until(t, "the servers have formed a cluster", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var err error
		b, err = natsbroker.Connect(ctx, c)
		return err == nil
	})
	t.Cleanup(b.Close)
	return b
}

// leaderOf returns the index of the server that leads the stream.
func leaderOf(t *testing.T, urls string, options []natsserver.Options) (leader int) {
	t.Helper()
	nc, err := nats.Connect(urls)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stream has a leader", func() bool {
		stream, err := js.Stream(t.Context(), "fanloop-0")
		if err != nil {
			return false
		}
		leader = slices.IndexFunc(options, func(o natsserver.Options) bool {
			return o.Name == stream.CachedInfo().Cluster.Leader
		})
		return leader >= 0
	})
	return leader
}

// readAll returns the ids of all messages of the topic.
func readAll(t *testing.T, b cluster.Broker) (ids []string) {
	t.Helper()
	from := uint64(1)
	for {
		page, err := b.Read(t.Context(), topic, from, cluster.Budget{Messages: 200, Bytes: 1 << 20})
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		for _, m := range page {
			ids = append(ids, m.ID)
			from = m.Offset + 1
		}
		if len(page) == 0 || ids[len(ids)-1] == "last" {
			return ids
		}
	}
}
