package natsbroker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// The disk under JetStream is full (C19): publishes to topics with a history fail, and say
// that they are not acknowledged; reading goes on, sockets stay, and plain topics are
// carried. When there is room again, publishes succeed without anybody's doing, and
// everything that was acknowledged is there, once, also for who has followed all the time.
func TestDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	disk := mountSmallDisk(t, dir)
	server := startServer(t, natsserver.Options{Dir: dir, MaxStore: 1 << 30, Sync: natsserver.SyncAlways})
	a, b := connect(t, server, natsbroker.Config{Shards: 2}), connect(t, server, natsbroker.Config{})
	n := cluster.NewNode(b, cluster.Config{})
	t.Cleanup(n.Close)
	r := follow(t, n, cluster.Position{})
	one, two := startRelayed(t, a, "plain"), startRelayed(t, b, "plain")

	acknowledged, failed := fill(t, a, disk)
	until(t, "what was acknowledged is delivered", r.has(acknowledged[len(acknowledged)-1]))
	if stored := readIDs(t, b); !slices.Equal(stored, acknowledged) {
		t.Errorf("%d messages can be read, %d were acknowledged", len(stored), len(acknowledged))
	}
	carried := 0
	until(t, "plain topics go on", func() bool {
		carried++
		if _, err := one.Publish("plain", engine.TextMessage(fmt.Sprint("plain ", carried))); err != nil {
			t.Fatal(err)
		}
		return two.count("plain 1") > 0
	})

	disk.resize("64m")
	publishAgain(t, a, failed)
	publishAgain(t, a, "after")
	acknowledged = append(acknowledged, failed, "after")
	until(t, "the one after", r.has("after"))
	r.expect(0, acknowledged...)
	if one.Conns() != 1 || two.Conns() != 1 {
		t.Errorf("%d and %d WebSockets, want 1 and 1", one.Conns(), two.Conns())
	}
}

// fill publishes until the disk is full, and returns what was acknowledged, and the id of
// the publish that failed.
func fill(t *testing.T, b cluster.Broker, disk *smallDisk) (acknowledged []string, failed string) {
	t.Helper()
	data := make([]byte, 100<<10)
	for i := 0; ; {
		id := fmt.Sprint("m", i)
		_, err := b.Publish(t.Context(), topic, id, data)
		switch {
		case err == nil:
			acknowledged = append(acknowledged, id)
			i++
		case !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "disk may be full"):
			t.Fatalf("a publish to a full disk: %v", err)
		case disk.free() < 2*len(data): // otherwise the machine is slow
			return acknowledged, id
		}
	}
}

// readIDs returns the ids of all messages that are stored.
func readIDs(t *testing.T, b cluster.Broker) (ids []string) {
	t.Helper()
	for from := uint64(1); ; {
		page, err := b.Read(t.Context(), topic, from, cluster.Budget{Messages: 100, Bytes: 8 << 20})
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		if len(page) == 0 {
			return ids
		}
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		from = page[len(page)-1].Offset + 1
	}
}
