package natsserver_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// What streams store is used of what they may have; a disk that has less bounds that.
func TestUsage(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), MaxStore: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if u := server.Usage(); u.Used != 0 || u.Limit != 1<<20 {
		t.Errorf("%+v of an empty server", u)
	}
	nc, err := nats.Connect(server.URL(), server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "kept", Subjects: []string{"kept"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "kept", make([]byte, 10<<10)); err != nil {
		t.Fatal(err)
	}
	for server.Usage().Used < 10<<10 {
		if t.Context().Err() != nil {
			t.Fatalf("%+v", server.Usage())
		}
		time.Sleep(time.Millisecond)
	}

	large, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), MaxStore: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	if u := large.Usage(); u.Limit <= 0 || u.Limit >= 1<<60 {
		t.Errorf("%+v: the disk has less", u)
	}
}
