package natsserver_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// The messages of a server without a cluster stay when it is started as one of a cluster by
// mistake, with and without the record of the mode: it does not start.
func TestClusterDoesNotTakeTheStreamsOfASingleServer(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		alone := natsserver.Options{Dir: t.TempDir()}
		storeOne(t, alone, true)
		if !recorded {
			forget(t, alone.Dir)
		}
		var mode *natsserver.ModeError
		if err := startAndClose(memberOf(alone.Dir, "c", "a")); !errors.As(err, &mode) || mode.Had != (natsserver.Mode{}) {
			t.Errorf("recorded %v: %v; want a ModeError", recorded, err)
		}
		if n := storeOne(t, alone, false); n != 2 {
			t.Errorf("recorded %v: %d messages, want 2", recorded, n)
		}
	}
}

// A server of a cluster does not start without one, nor as another one.
func TestServerOfAClusterStaysThat(t *testing.T) {
	dir := t.TempDir()
	if err := startAndClose(memberOf(dir, "c", "a")); err != nil {
		t.Fatal(err)
	}
	refused := func(o natsserver.Options) {
		t.Helper()
		var mode *natsserver.ModeError
		if err := startAndClose(o); !errors.As(err, &mode) {
			t.Errorf("%v; want a ModeError", err)
		}
	}
	for _, other := range []natsserver.Options{{Dir: dir}, memberOf(dir, "c", "b"), memberOf(dir, "d", "a")} {
		refused(other)
	}
	forget(t, dir)
	refused(natsserver.Options{Dir: dir})
	if err := startAndClose(memberOf(dir, "c", "a")); err != nil {
		t.Errorf("as before: %v", err)
	}
	refused(memberOf(dir, "c", "b"))
}

// A directory whose server has stored nothing takes any mode: a mistake at the first start
// costs nothing.
func TestDirectoryWithoutStreamsTakesAnyMode(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []natsserver.Options{{Dir: dir}, memberOf(dir, "c", "a")} {
		if err := startAndClose(o); err != nil {
			t.Error(err)
		}
	}
}

func memberOf(dir, cluster, name string) natsserver.Options {
	return natsserver.Options{Dir: dir, Name: name, Cluster: &natsserver.Cluster{Name: cluster, Addr: "127.0.0.1:0", Routes: []string{"nats://127.0.0.1:1"}}}
}

func startAndClose(o natsserver.Options) error {
	server, err := natsserver.Start(o)
	if err == nil {
		server.Close()
	}
	return err
}

// forget makes a directory that of a version without the record.
func forget(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "mode.json")); err != nil {
		t.Fatal(err)
	}
}

// storeOne stores a message, and returns how many there are.
func storeOne(t *testing.T, o natsserver.Options, create bool) uint64 {
	t.Helper()
	server, err := natsserver.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	nc, err := nats.Connect("", server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if create {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "kept", Subjects: []string{"kept"}}); err != nil {
			t.Fatal(err)
		}
	}
	ack, err := js.Publish(t.Context(), "kept", nil)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}
