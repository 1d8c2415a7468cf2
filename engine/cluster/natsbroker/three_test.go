package natsbroker_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	clients []*door // where clients connect to each
	routes  []*door // where the others do
	stops   [3]func()
}

func startThree(t *testing.T) *three {
	t.Helper()
	if testing.Short() {
		t.Skip("three servers")
	}
	s := &three{t: t}
	var routes []string
	for range s.stops {
		s.clients, s.routes = append(s.clients, openDoor(t)), append(s.routes, openDoor(t))
		routes = append(routes, s.routes[len(routes)].url())
	}
	for i := range s.stops {
		s.options = append(s.options, natsserver.Options{
			Dir: t.TempDir(), Name: fmt.Sprint("server", i), Addr: "127.0.0.1:0",
			Cluster: &natsserver.Cluster{Name: "three", Addr: "127.0.0.1:0", Routes: slices.Delete(slices.Clone(routes), i, i+1)},
		})
	}
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
	if program := os.Getenv(serverVariable); program != "" {
		s.startProgram(program, i)
		return
	}
	server, err := natsserver.Start(s.options[i])
	if err != nil {
		s.t.Errorf("server %d: %v", i, err)
		return
	}
	s.stops[i] = server.Close
	s.clients[i].lead(server.URL())
	s.routes[i].lead(server.RouteURL())
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
		URL: s.clients[i].url(), Shards: 1, ProbeEvery: time.Second,
		Options: []nats.Option{nats.IgnoreDiscoveredServers()},
	})
}

// startProgram runs a server as a process, and asks it where it is.
func (s *three) startProgram(program string, i int) {
	o, config := s.options[i], filepath.Join(s.t.TempDir(), "server.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:-1\"\nserver_name: %q\njetstream { store_dir: %q }\nports_file_dir: %q\n"+
		"cluster { name: %q, listen: \"127.0.0.1:-1\", routes: %s }\n",
		o.Name, o.Dir, filepath.Dir(config), o.Cluster.Name, "["+strings.Join(o.Cluster.Routes, ", ")+"]")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Error(err)
		return
	}
	cmd := exec.Command(program, "-c", config)
	if err := cmd.Start(); err != nil {
		s.t.Error(err)
		return
	}
	s.stops[i] = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	var ports struct{ Nats, Cluster []string }
	until(s.t, "the server says where it is", func() bool {
		files, _ := filepath.Glob(filepath.Join(filepath.Dir(config), "*.ports"))
		if len(files) == 0 {
			return false
		}
		text, err := os.ReadFile(files[0])
		return err == nil && json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0 && len(ports.Cluster) > 0
	})
	s.clients[i].lead(ports.Nats[0])
	s.routes[i].lead(ports.Cluster[0])
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
