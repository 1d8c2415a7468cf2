package natsbroker_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// TestMain fails the package when a goroutine outlives its test. With
// childVariable set the process is a server instead.
func TestMain(m *testing.M) {
	if where := os.Getenv(childVariable); where != "" {
		childMain(where)
	}
	// A server that is closed while it makes a stream, as one of three that has just come
	// back, leaves these.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

const topic = "room"

// startServer returns an embedded server that ends with the test.
func startServer(t *testing.T, o natsserver.Options) *natsserver.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := natsserver.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// connect returns a broker that ends with the test.
func connect(t *testing.T, s *natsserver.Server, c natsbroker.Config) *natsbroker.Broker {
	t.Helper()
	if c.URL == "" {
		c.Options = append(c.Options, s.InProcess())
	}
	b, err := natsbroker.Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestNATSIsABroker(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	var prefixes atomic.Int32
	clustertest.TestBroker(t, 20, func(t *testing.T) (a, b cluster.Broker) {
		config := natsbroker.Config{Prefix: fmt.Sprint("test", prefixes.Add(1)), Shards: 3, PerTopic: 20}
		return connect(t, server, config), connect(t, server, config)
	})
}

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func publish(t *testing.T, b cluster.Broker, ids ...string) (at cluster.Position) {
	t.Helper()
	for _, id := range ids {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		ack, err := b.Publish(ctx, topic, id, []byte("data of "+id))
		cancel()
		if err != nil {
			t.Fatalf("Publish %s: %v", id, err)
		}
		at = ack.Position
	}
	return at
}
