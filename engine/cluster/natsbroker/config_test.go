package natsbroker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// Settings that no server of NATS takes are errors of the Config, and not of a broker that
// may answer later.
func TestConfigThatNATSRefuses(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	for name, c := range map[string]natsbroker.Config{
		"Replicas 7":      {Replicas: 7},
		"Replicas -1":     {Replicas: -1},
		"MaxAge":          {MaxAge: 50 * time.Millisecond},
		"Duplicates":      {Duplicates: time.Millisecond},
		"MaxBytes":        {MaxBytes: 1 << 60},
		"Prefix too long": {Prefix: strings.Repeat("x", 300)},
	} {
		c.Options = []nats.Option{server.InProcess()}
		b, err := natsbroker.Connect(t.Context(), c)
		if !errors.Is(err, natsbroker.ErrConfig) || errors.Is(err, cluster.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrConfig alone", name, err)
		}
		if err == nil {
			b.Close()
		}
	}
	for _, replicas := range []int{2, 3} { // there may be more servers soon
		c := natsbroker.Config{Replicas: replicas, Prefix: "r", Options: []nats.Option{server.InProcess()}}
		if _, err := natsbroker.Connect(t.Context(), c); errors.Is(err, natsbroker.ErrConfig) || !errors.Is(err, cluster.ErrUnavailable) {
			t.Errorf("Replicas %d: %v, want ErrUnavailable", replicas, err)
		}
	}
}

// An error says what to do where it happens: only that of a publish to a history speaks of
// publishing again, and that of Connect names the server, without its password.
func TestErrorsFitTheirPlace(t *testing.T) {
	_, err := natsbroker.Connect(t.Context(), natsbroker.Config{URL: "nats://ann:secret@127.0.0.1:1,nats://127.0.0.1:2"})
	if !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("Connect: %v", err)
	}
	const again = "publish again with the same id"
	if text := err.Error(); !strings.Contains(text, "@127.0.0.1:1,nats://127.0.0.1:2") || strings.Contains(text, "secret") || strings.Contains(text, again) {
		t.Errorf("Connect: %v", err)
	}
	server := startServer(t, natsserver.Options{})
	b := connect(t, server, natsbroker.Config{Shards: 1})
	server.Close()
	until(t, "Send fails", func() bool {
		err = b.Send(cluster.Channel{Kind: "k", Topic: "t"}, nil)
		return err != nil
	})
	if !errors.Is(err, cluster.ErrUnavailable) || strings.Contains(err.Error(), again) {
		t.Errorf("Send: %v", err)
	}
	if _, err := b.Publish(t.Context(), topic, "m", nil); !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), again) {
		t.Errorf("Publish: %v", err)
	}
	if _, err := b.Head(t.Context(), topic); !errors.Is(err, cluster.ErrUnavailable) || strings.Contains(err.Error(), again) {
		t.Errorf("Head: %v", err)
	}
}

// The number of shards is that of the streams; another, and streams of somebody
// else, are refused.
func TestConfigHasToFitTheStreams(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	made := connect(t, server, natsbroker.Config{Shards: 2})
	at := publish(t, made, "m1")
	found := connect(t, server, natsbroker.Config{}) // takes what is there
	if head, err := found.Head(t.Context(), topic); err != nil || head.Position != at {
		t.Errorf("head %+v, %v", head, err)
	}
	nc, err := nats.Connect("", server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "foreign-0", Subjects: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	same := natsbroker.Config{PerTopic: 1000, MaxAge: 24 * time.Hour, MaxBytes: -1, Replicas: 1, Duplicates: time.Minute}
	publish(t, connect(t, server, same), "m2") // what is set is what they have
	for name, c := range map[string]natsbroker.Config{
		"other shards":     {Shards: 3},
		"other PerTopic":   {PerTopic: 999},
		"other MaxAge":     {MaxAge: time.Hour},
		"no MaxAge":        {MaxAge: -1},
		"other MaxBytes":   {MaxBytes: 1 << 30},
		"other Replicas":   {Replicas: 3},
		"other Duplicates": {Duplicates: 30 * time.Second},
		"foreign stream":   {Prefix: "foreign"},
		"prefix":           {Prefix: "a.b"},
		"negative":         {PerTopic: -1},
	} {
		c.Options = []nats.Option{server.InProcess()}
		if b, err := natsbroker.Connect(t.Context(), c); !errors.Is(err, natsbroker.ErrConfig) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				b.Close()
			}
		} else if differs := errors.Is(err, natsbroker.ErrDiffers); differs != (strings.Contains(name, "PerTopic") || strings.Contains(name, "MaxAge") ||
			strings.Contains(name, "MaxBytes") || strings.Contains(name, "Replicas") || strings.Contains(name, "Duplicates")) {
			t.Errorf("%s: %v, ErrDiffers %v", name, err, differs)
		}
	}
	info, err := js.Stream(t.Context(), "fanloop-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := info.Purge(t.Context()); err == nil {
		t.Error("a stream was purged")
	}
	if _, err := natsbroker.Connect(t.Context(), natsbroker.Config{URL: "nats://127.0.0.1:1"}); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("no server: %v", err)
	}
}

// A full store (C19) fails publishes with its reason; what is there can be read,
// and the connection stays.
func TestFullStore(t *testing.T) {
	server := startServer(t, natsserver.Options{MaxStore: 1 << 20})
	b := connect(t, server, natsbroker.Config{Shards: 1})
	data := make([]byte, 100<<10)
	var failed error
	stored := 0
	for range 100 {
		if _, failed = b.Publish(t.Context(), topic, "", data); failed != nil {
			break
		}
		stored++
	}
	if !errors.Is(failed, cluster.ErrUnavailable) || !strings.Contains(failed.Error(), "resource") {
		t.Errorf("a publish beyond the store: %v", failed)
	}
	page, err := b.Read(t.Context(), topic, 1, cluster.Budget{Messages: 100, Bytes: 10 << 20})
	if err != nil || len(page) != stored || stored == 0 {
		t.Errorf("%d messages of %d, %v", len(page), stored, err)
	}
	if _, err := b.Publish(t.Context(), topic, "", make([]byte, 2<<20)); errors.Is(err, cluster.ErrUnavailable) || !errors.Is(err, cluster.ErrTooLarge) || !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("a publish over the limit of the server: %v", err)
	}
}

// A node that takes live messages too slowly gets a gap (C06).
func TestSlowConsumerIsAGap(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	gaps := make(chan error, 10)
	b := connect(t, server, natsbroker.Config{Shards: 1, OnGap: func(reason error) {
		select {
		case gaps <- reason:
		default:
		}
	}})
	slow := &stuck{release: make(chan struct{}), gaps: make(chan error, 10)}
	stop, err := b.Follow(topic, slow)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publisher := connect(t, server, natsbroker.Config{})
	for range 4500 { // more than may wait
		publish(t, publisher, "")
	}
	for name, calls := range map[string]chan error{"Gap": slow.gaps, "OnGap": gaps} {
		select {
		case err := <-calls:
			if !errors.Is(err, nats.ErrSlowConsumer) {
				t.Errorf("%s for %v", name, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s was not called", name)
		}
	}
	close(slow.release)
}

// stuck is a Listener that does not return.
type stuck struct {
	release chan struct{}
	gaps    chan error
}

func (s *stuck) Live(cluster.Message) { <-s.release }

func (s *stuck) Gap(reason error) {
	select {
	case s.gaps <- reason:
	default:
	}
}
