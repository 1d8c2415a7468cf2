package natsserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// TestMain fails the package when a goroutine outlives its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server keeps its streams over a restart, whatever Sync is, and has clients
// over TCP and in the process.
func TestStreamsStay(t *testing.T) {
	for _, sync := range []natsserver.Sync{natsserver.SyncEverySecond, natsserver.SyncAlways, natsserver.SyncSeldom} {
		options := natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", Sync: sync}
		for i := range uint64(2) {
			server, err := natsserver.Start(options)
			if err != nil {
				t.Fatal(err)
			}
			for k, option := range []nats.Option{server.InProcess(), nats.Name("by TCP")} {
				nc, err := nats.Connect(server.URL(), option)
				if err != nil {
					t.Fatal(err)
				}
				js, err := jetstream.New(nc)
				if err != nil {
					t.Fatal(err)
				}
				config := jetstream.StreamConfig{Name: "kept", Subjects: []string{"kept"}}
				if _, err := js.CreateOrUpdateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
				ack, err := js.Publish(t.Context(), "kept", nil)
				if want := 2*i + uint64(k) + 1; err != nil || ack.Sequence != want {
					t.Errorf("sync %d: %+v, %v; want sequence %d", sync, ack, err, want)
				}
				nc.Close()
			}
			server.Close()
		}
	}
}

// Two servers in one directory would destroy each other's streams. The second one is
// refused, and may start once the first has ended.
func TestDirectoryIsOfOneServer(t *testing.T) {
	options := natsserver.Options{Dir: filepath.Join(t.TempDir(), "made")}
	for range 2 {
		server, err := natsserver.Start(options)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := natsserver.Start(options); !errors.Is(err, natsserver.ErrInUse) {
			t.Errorf("a second server: %v, %v; want ErrInUse", second, err)
		}
		server.Close()
	}
	options.Addr = "127.0.0.1:99999"
	if _, err := natsserver.Start(options); err == nil {
		t.Fatal("started at a port that does not exist")
	}
}

// What cannot work is refused, with what to do.
func TestOptionsAreChecked(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := dir + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]natsserver.Options{
		"Options.Dir":            {},
		"Options.Name":           {Dir: dir, Cluster: &natsserver.Cluster{Name: "c", Addr: "127.0.0.1:0"}},
		"missing port":           {Dir: dir, Addr: "localhost"},
		"not a number":           {Dir: dir, Addr: "localhost:x"},
		"not a directory":        {Dir: file},
		"address already in use": {Dir: t.TempDir(), Addr: taken.Addr().String()},
	} {
		s, err := natsserver.Start(o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "example") // in production: a directory that stays
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := natsserver.Start(natsserver.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	nc, err := nats.Connect("", server.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		fmt.Println(err)
		return
	}
	account, err := js.AccountInfo(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(account.Streams, "streams")
	// Output: 0 streams
}

// The port that a server of a cluster has to open takes nobody but its own process.
func TestPortOfAClusterIsForItsProcessOnly(t *testing.T) {
	s, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Name: "a", Cluster: &natsserver.Cluster{Name: "c", Addr: "127.0.0.1:0", Routes: []string{"nats://127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if nc, err := nats.Connect(s.URL()); !errors.Is(err, nats.ErrAuthorization) {
		if err == nil {
			nc.Close()
		}
		t.Errorf("a stranger connects: %v", err)
	}
	nc, err := nats.Connect(s.URL(), s.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}
