package natsbroker_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// serverVariable is the path of a nats-server program. If it is set, the tests that need
// three servers run three processes of it; otherwise the servers are embedded.
const serverVariable = "FANLOOP_NATS_SERVER"

// three are three servers that form a cluster, and end with the test.
type three struct {
	t       *testing.T
	options []natsserver.Options
	stops   [3]func()
}

func startThree(t *testing.T) *three {
	t.Helper()
	if testing.Short() {
		t.Skip("three servers")
	}
	s := &three{t: t, options: clusterOfThree(t)}
	t.Cleanup(func() {
		for i := range s.stops {
			s.stop(i)
		}
	})
	var starting sync.WaitGroup
	for i := range s.stops {
		starting.Go(func() { s.start(i) })
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// start starts one that does not run.
func (s *three) start(i int) {
	var err error
	if program := os.Getenv(serverVariable); program != "" {
		s.stops[i], err = startProgram(program, s.options[i])
	} else {
		var server *natsserver.Server
		if server, err = natsserver.Start(s.options[i]); err == nil {
			s.stops[i] = server.Close
		}
	}
	if err != nil {
		s.t.Errorf("server %d: %v", i, err)
	}
}

// stop ends one, if it runs.
func (s *three) stop(i int) {
	if s.stops[i] != nil {
		s.stops[i]()
		s.stops[i] = nil
	}
}

// connect returns a broker that knows one of the servers only.
func (s *three) connect(i int) *natsbroker.Broker {
	s.t.Helper()
	return connectWhenFormed(s.t, natsbroker.Config{
		URL: "nats://" + s.options[i].Addr, Shards: 1, ProbeEvery: time.Second,
		Options: []nats.Option{nats.IgnoreDiscoveredServers()},
	})
}

// startProgram runs a server as a process.
func startProgram(program string, o natsserver.Options) (stop func(), err error) {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, err
	}
	args := []string{
		"-a", host, "-p", port, "-n", o.Name, "-js", "-sd", o.Dir,
		"-cluster", "nats://" + o.Cluster.Addr, "-cluster_name", o.Cluster.Name,
	}
	for _, route := range o.Cluster.Routes {
		args = append(args, "-routes", route)
	}
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}, nil
}

// Presence and keyed values of three nodes, each with a server of its own, of which one
// ends and comes back: all nodes know the same afterwards.
func TestPresenceAndKeyedOverThreeServers(t *testing.T) {
	s := startThree(t)
	var rooms []*presence.Presence
	var watches []*presence.Watch
	var values []*keyed.Keyed
	var views []func(key string) string
	for i := range s.options {
		b := s.connect(i)
		p, err1 := presence.New(b, presence.Config{Grace: 10 * time.Millisecond})
		k, err2 := keyed.New(b, keyed.Config{Lifetime: time.Hour, Every: 10 * time.Millisecond})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		t.Cleanup(p.Close)
		t.Cleanup(k.Close)
		w, err1 := p.Watch(topic, func(presence.Update) {})
		sub, err2 := k.Subscribe(topic, nil)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		has := map[string]string{}
		rooms, watches, values = append(rooms, p), append(watches, w), append(values, k)
		views = append(views, func(key string) string {
			batch, err := sub.Next(0)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range batch.Values {
				has[v.Key] = v.Data
			}
			return has[key]
		})
	}
	// step has every node add a user and set a value, and waits until all know.
	users := 0
	step := func(what string) {
		t.Helper()
		for i := range rooms {
			if _, err := rooms[i].Join(topic, fmt.Sprint(what, i)); err != nil {
				t.Fatal(err)
			}
			if err := values[i].Set(topic, fmt.Sprint("of ", i), []byte(what)); err != nil {
				t.Fatal(err)
			}
			users++
		}
	}
	agree := func(what string) {
		t.Helper()
		for i := range rooms {
			until(t, fmt.Sprint(what, ": node ", i, " knows all users"), func() bool { return watches[i].Count() == users })
			for k := range rooms {
				until(t, fmt.Sprint(what, ": node ", i, " has the value of ", k), func() bool { return views[i](fmt.Sprint("of ", k)) == what })
			}
		}
	}
	step("first")
	agree("first")
	s.stop(1)
	step("second")
	s.start(1)
	agree("second")
}
