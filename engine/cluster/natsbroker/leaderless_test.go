package natsbroker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// X44: nobody answers what is asked while a cluster has no leader. It is asked again, so
// that it is answered soon after there is one.
func TestWhatNobodyAnswersIsAskedAgain(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{
		Dir: t.TempDir(), Name: "alone", Addr: "127.0.0.1:0",
		Cluster: &natsserver.Cluster{Name: "three", Addr: "127.0.0.1:0", Routes: []string{"nats://127.0.0.1:1", "nats://127.0.0.1:2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	asked := make(chan *nats.Msg, 100)
	if _, err := nc.ChanSubscribe("$JS.API.STREAM.INFO.>", asked); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := natsbroker.Connect(ctx, natsbroker.Config{URL: server.URL(), Replicas: 3})
		ended <- err
	}()
	for n := range 2 {
		select {
		case <-asked:
		case err := <-ended:
			t.Fatalf("asked %d times: %v", n, err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, cluster.ErrUnavailable) {
		t.Error(err)
	}
}
