package mirror

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// node is one node of a test: a group and all that it has seen.
type node struct {
	t       *testing.T
	conn    *clustertest.Conn
	group   *Group
	seen    map[string]map[ID]map[string]string // by topic and node
	watched map[string]*Topic
}

func startNode(t *testing.T, store *clustertest.Store) *node { return startNodeWith(t, store, 0) }

// startNodeWith starts a node that sends at most so many values in one flush.
func startNodeWith(t *testing.T, store *clustertest.Store, most int) *node {
	t.Helper()
	n := &node{t: t, conn: store.Connect(), seen: map[string]map[ID]map[string]string{}, watched: map[string]*Topic{}}
	g, err := New(n.conn, Config{Kind: "mirror", Flush: 100 * time.Millisecond, Most: most, Grace: 5 * time.Second, Change: n.change})
	if err != nil {
		t.Fatal(err)
	}
	n.group = g
	return n
}

// change keeps what is seen, and checks that it follows what was.
func (n *node) change(topic *Topic, id ID, key, old, value string) {
	if n.seen[topic.Name] == nil {
		n.seen[topic.Name] = map[ID]map[string]string{}
	}
	values := n.seen[topic.Name][id]
	if values == nil {
		values = map[string]string{}
		n.seen[topic.Name][id] = values
	}
	if values[key] != old || old == value {
		n.t.Errorf("%s of %x: %q from %q to %q, and it was %q", topic.Name, id, key, old, value, values[key])
	}
	values[key] = value
	if value == "" {
		delete(values, key)
	}
	if len(values) == 0 {
		delete(n.seen[topic.Name], id)
	}
}

func (n *node) put(topic, key, value string) {
	n.t.Helper()
	n.group.Lock()
	defer n.group.Unlock()
	if err := n.group.Put(topic, key, value); err != nil {
		n.t.Errorf("Put: %v", err)
	}
}

func (n *node) watch(topic string) {
	n.t.Helper()
	n.group.Lock()
	defer n.group.Unlock()
	t, err := n.group.Watch(topic)
	if err != nil {
		n.t.Fatalf("Watch: %v", err)
	}
	n.watched[topic] = t
}

func (n *node) unwatch(topic string) {
	n.group.Lock()
	defer n.group.Unlock()
	n.watched[topic].Unwatch()
	delete(n.watched, topic)
}

// has returns what the node sees of a topic, and what it has itself.
func (n *node) has(topic string) (seen map[ID]map[string]string, own map[string]string) {
	n.group.Lock()
	defer n.group.Unlock()
	seen = map[ID]map[string]string{}
	for id, values := range n.seen[topic] {
		seen[id] = maps.Clone(values)
	}
	if t := n.group.Topic(topic); t != nil {
		own = maps.Clone(t.own.values)
	}
	return seen, own
}

// kill ends a node as a crash does.
func (n *node) kill() {
	n.conn.Cut()
	n.stop()
}

func (n *node) stop() {
	n.group.Close()
	n.conn.Close()
}

// agree checks that every node sees what every node has, of topics that it watches.
func agree(t *testing.T, nodes []*node, topics []string) (values int) {
	t.Helper()
	for _, topic := range topics {
		want := map[ID]map[string]string{}
		for _, n := range nodes {
			if _, own := n.has(topic); len(own) > 0 {
				want[n.group.ID()] = own
			}
		}
		for i, n := range nodes {
			if n.watched[topic] == nil {
				continue
			}
			seen, _ := n.has(topic)
			for id := range want {
				values += len(seen[id])
			}
			if fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("%s: node %d sees %v, want %v", topic, i, seen, want)
			}
		}
	}
	return values
}

// Nodes change what they have, watch and do not, are cut off, crash and end, on a
// bus that loses, repeats and reorders. After a quiet time all watchers see what
// there is, and when nobody has or watches anything, nothing is left over.
func TestModel(t *testing.T) {
	seeds.Each(t, 10, func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { runModel(t, seed) })
	})
}

func runModel(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	store := clustertest.NewStore(clustertest.Options{Seed: seed, Faults: clustertest.Faults{
		Lose: 0.1, Repeat: 0.1, Delay: 300 * time.Millisecond,
	}})
	topics := []string{"a", "b", "quiet"}
	most := random.IntN(2) * 2
	var nodes []*node
	for range 4 {
		nodes = append(nodes, startNodeWith(t, store, most))
	}
	for range 600 {
		time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		i := random.IntN(len(nodes))
		n, topic := nodes[i], topics[random.IntN(2)]
		if random.IntN(30) == 0 {
			topic = "quiet"
		}
		switch k := random.IntN(100); {
		case k < 55:
			n.put(topic, fmt.Sprint("k", random.IntN(200)), fmt.Sprint(random.IntN(1000)))
		case k < 80:
			_, own := n.has(topic)
			for key := range own {
				n.put(topic, key, "")
				break
			}
		case k < 90 && n.watched[topic] == nil:
			n.watch(topic)
		case k < 90:
			n.unwatch(topic)
		case k < 93:
			n.conn.Cut()
			time.Sleep(time.Duration(random.Int64N(int64(20 * time.Second))))
			n.conn.Heal()
		case k < 94:
			n.kill()
			nodes[i] = startNodeWith(t, store, most)
		case k < 95:
			n.stop()
			nodes[i] = startNodeWith(t, store, most)
		}
	}
	store.Calm()
	for _, n := range nodes {
		for _, topic := range topics[:2] {
			if n.watched[topic] == nil {
				n.watch(topic)
			}
		}
	}
	time.Sleep(time.Minute)
	if agree(t, nodes, topics) == 0 {
		t.Error("there was nothing to agree on")
	}
	for _, n := range nodes {
		for topic := range n.watched {
			n.unwatch(topic)
		}
		for _, topic := range topics {
			_, own := n.has(topic)
			for key := range own {
				n.put(topic, key, "")
			}
		}
	}
	time.Sleep(3 * time.Minute)
	for i, n := range nodes {
		n.group.Lock()
		if len(n.group.topics) > 0 || len(n.group.agenda) != 2 {
			t.Errorf("node %d has %d topics and %d tasks left", i, len(n.group.topics), len(n.group.agenda))
		}
		n.group.Unlock()
		if got := n.conn.Listened(); got != 2 {
			t.Errorf("node %d listens to %d channels", i, got)
		}
		n.stop()
	}
	synctest.Wait()
}
