package presence_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// world is one run of the model.
type world struct {
	t       *testing.T
	random  *rand.Rand
	store   *clustertest.Store
	config  presence.Config
	nodes   []*node
	joined  []connection
	clients []*client
	at      map[*client]int // which node
}

// connection is one of a user, on a node.
type connection struct {
	node        int
	topic, user string
	leave       func()
}

// Users come, go and reconnect on nodes that are cut off, crash and end, over a bus
// that loses, repeats and reorders. After a quiet time every node knows who is there
// with how many connections, and so does every client that watches.
func TestModel(t *testing.T) {
	seeds.Each(t, 10, func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, random: rand.New(rand.NewPCG(seed, 1)), at: map[*client]int{}}
			w.store = clustertest.NewStore(clustertest.Options{Seed: seed, Faults: clustertest.Faults{
				Lose: 0.1, Repeat: 0.1, Delay: 300 * time.Millisecond,
			}})
			w.config = presence.Config{Full: 12, Bytes: 400}
			w.run()
		})
	})
}

func (w *world) run() {
	for range 4 {
		w.nodes = append(w.nodes, startNode(w.t, w.store, w.config))
	}
	for range 800 {
		time.Sleep(time.Duration(w.random.Int64N(int64(200 * time.Millisecond))))
		w.step()
	}
	w.store.Calm()
	for i := range w.nodes {
		w.join(i)
		w.watch(i, "a")
		w.watch(i, "b")
	}
	time.Sleep(time.Minute)
	w.judge()
	for i := range w.nodes {
		w.nodes[i].stop()
	}
	synctest.Wait()
}

func (w *world) step() {
	i := w.random.IntN(len(w.nodes))
	switch k := w.random.IntN(100); {
	case k < 45:
		w.join(i)
	case k < 85 && len(w.joined) > 0:
		n := w.random.IntN(len(w.joined))
		w.joined[n].leave()
		w.joined = slices.Delete(w.joined, n, n+1)
	case k < 90:
		w.watch(i, []string{"a", "b"}[w.random.IntN(2)])
	case k < 94 && len(w.clients) > 0:
		n := w.random.IntN(len(w.clients))
		w.clients[n].Close()
		w.clients = slices.Delete(w.clients, n, n+1)
	case k < 97:
		w.nodes[i].conn.Cut()
		time.Sleep(time.Duration(w.random.Int64N(int64(20 * time.Second))))
		w.nodes[i].conn.Heal()
	case k < 98:
		w.nodes[i].kill()
		w.restart(i)
	case k < 99:
		w.nodes[i].stop()
		w.restart(i)
	}
}

func (w *world) join(i int) {
	c := connection{node: i, topic: []string{"a", "b"}[w.random.IntN(2)], user: fmt.Sprint("user ", w.random.IntN(20))}
	c.leave = w.nodes[i].join(c.topic, c.user)
	w.joined = append(w.joined, c)
}

func (w *world) watch(i int, topic string) {
	c := w.nodes[i].watch(topic)
	w.clients = append(w.clients, c)
	w.at[c] = i
}

// restart starts a node that has nobody.
func (w *world) restart(i int) {
	w.joined = slices.DeleteFunc(w.joined, func(c connection) bool { return c.node == i })
	w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return w.at[c] == i })
	w.nodes[i] = startNode(w.t, w.store, w.config)
}

// judge compares what everybody knows with what is.
func (w *world) judge() {
	there := map[string]map[string]int{"a": {}, "b": {}}
	for _, c := range w.joined {
		there[c.topic][c.user]++
	}
	for _, c := range w.clients {
		topic := there[c.name]
		var want []string
		for _, name := range slices.Sorted(maps.Keys(topic)) {
			want = append(want, fmt.Sprint(name, " ", topic[name]))
		}
		if got := c.members(); !slices.Equal(got, want) {
			w.t.Errorf("node %d has %v in %s, want %v", w.at[c], got, c.name, want)
		}
		users := slices.Sorted(maps.Keys(topic))
		names := c.State().Names
		if !names {
			users = nil
		}
		c.expect(len(topic), users...)
		if len(topic) <= 9 && !names || len(topic) > 12 && names {
			w.t.Errorf("%d users, and names %v", len(topic), names)
		}
	}
}
