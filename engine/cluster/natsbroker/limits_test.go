package natsbroker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// kept returns the ids of what topic keeps.
func kept(t *testing.T, b *natsbroker.Broker) (ids []string, err error) {
	page, err := b.Read(t.Context(), topic, 1, cluster.Budget{Messages: 100, Bytes: 1 << 20})
	for _, m := range page {
		ids = append(ids, m.ID)
	}
	return ids, err
}

func wantKept(t *testing.T, b *natsbroker.Broker, want ...string) {
	t.Helper()
	if got, err := kept(t, b); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v is kept, %v; want %v", got, err, want)
	}
}

// wantLimits wants all streams of server to have these limits.
func wantLimits(t *testing.T, server *natsserver.Server, perTopic int64, age, duplicates time.Duration) {
	t.Helper()
	nc, err := nats.Connect("", server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	all := js.ListStreams(t.Context())
	for info := range all.Info() {
		if c := info.Config; c.MaxMsgsPerSubject != perTopic || c.MaxAge != age || c.Duplicates != duplicates {
			t.Errorf("%s has %d, %v and %v; want %d, %v and %v", c.Name, c.MaxMsgsPerSubject, c.MaxAge, c.Duplicates, perTopic, age, duplicates)
		}
	}
	if err := all.Err(); err != nil {
		t.Error(err)
	}
}

// Limits of streams change as Connect is told, of all streams alike.
func TestLimitsOfStreamsChange(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	config := natsbroker.Config{Shards: 3, PerTopic: 3, MaxAge: 30 * time.Second, Duplicates: 30 * time.Second}
	publish(t, connect(t, server, config), "a", "b", "c", "d", "e")

	config.PerTopic, config.MaxAge, config.Duplicates, config.Change = 5, time.Hour, time.Minute, natsbroker.ChangeLarger
	b := connect(t, server, config)
	wantLimits(t, server, 5, time.Hour, time.Minute)
	publish(t, b, "f", "g", "h")
	wantKept(t, b, "d", "e", "f", "g", "h")

	config.PerTopic, config.MaxAge = 2, -1 // fewer, and for ever
	config.Options = []nats.Option{server.InProcess()}
	if _, err := natsbroker.Connect(t.Context(), config); !errors.Is(err, natsbroker.ErrDiffers) {
		t.Errorf("smaller limits: %v, want ErrDiffers", err)
	}
	wantLimits(t, server, 5, 0, time.Minute)
	wantKept(t, b, "d", "e", "f", "g", "h")

	config.MaxAge, config.Change = 20*time.Second, natsbroker.ChangeAll
	config.Options = nil
	b = connect(t, server, config)
	wantLimits(t, server, 2, 20*time.Second, 20*time.Second)
	wantKept(t, b, "g", "h")
	publish(t, b, "i")
	wantKept(t, b, "h", "i")
}

// A topic that was cut to a smaller limit is not intact because the limit is larger now: who
// was away would go on over what was cut.
func TestLargerLimitsDoNotHideWhatWasCut(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	config := natsbroker.Config{Shards: 1, PerTopic: 3, Change: natsbroker.ChangeLarger}
	first := connect(t, server, config)
	if _, err := first.Publish(t.Context(), "another", "1", nil); err != nil { // the first message of the stream stays
		t.Fatal(err)
	}
	at := publish(t, first, "a")
	publish(t, first, "b", "c", "d", "e") // b is cut

	for _, perTopic := range []int{10, 20} {
		config.PerTopic = perTopic
		b := connect(t, server, config)
		if intact, err := b.Intact(t.Context(), topic, at.Offset); err != nil || intact {
			t.Errorf("with %d messages: intact %v, %v", perTopic, intact, err)
		}
	}
}

// The same of three servers, while another node uses the streams.
func TestLimitsOfThreeServersChange(t *testing.T) {
	s := startThree(t)
	config := natsbroker.Config{
		URL: s.clients[0].url(), Shards: 2, Replicas: 3, PerTopic: 2, ProbeEvery: time.Second, Change: natsbroker.ChangeLarger,
		Options: []nats.Option{nats.IgnoreDiscoveredServers()},
	}
	running := connectWhenFormed(t, config)
	publish(t, running, "a", "b", "c")
	config.URL, config.PerTopic = s.clients[1].url(), 4
	connectWhenFormed(t, config)
	publish(t, running, "d", "e", "f")
	until(t, "a replica has four", func() bool {
		got, err := kept(t, running)
		return err == nil && slices.Equal(got, []string{"c", "d", "e", "f"})
	})
}
