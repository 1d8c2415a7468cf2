package passive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/passive"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// TestMain fails the package when a goroutine outlives its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one node of a test.
type node struct {
	*passive.Passive
	t    *testing.T
	conn *clustertest.Conn
}

func startNode(t *testing.T, store *clustertest.Store) *node {
	t.Helper()
	conn := store.Connect()
	p, err := passive.New(conn, passive.Config{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{p, t, conn}
	t.Cleanup(n.stop)
	return n
}

func (n *node) stop() {
	n.Close()
	n.conn.Close()
}

func (n *node) add(topic string) {
	n.t.Helper()
	if err := n.Add(topic); err != nil {
		n.t.Fatalf("Add: %v", err)
	}
}

// client collects notes.
type client struct {
	*passive.Watch
	t *testing.T

	mu    sync.Mutex
	notes []uint64
	last  time.Time
}

func (n *node) watch(topic string) *client {
	n.t.Helper()
	c := &client{t: n.t}
	w, err := n.Watch(topic, c.note)
	if err != nil {
		n.t.Fatalf("Watch: %v", err)
	}
	c.Watch = w
	return c
}

func (c *client) note(n passive.Note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if passed := time.Since(c.last); passed < 5*time.Second {
		c.t.Errorf("a note %v after another", passed)
	}
	c.last = time.Now()
	c.notes = append(c.notes, n.Count)
}

func (c *client) list() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notes
}

// However many messages there are, a client gets one note in an interval, and the
// last one has all of them. A topic that is quiet gives none.
func TestOneNoteInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		a, b := startNode(t, store), startNode(t, store)
		a.add("room") // before anybody watches
		here, there := a.watch("room"), b.watch("room")
		time.Sleep(20 * time.Second)
		first := here.Count()
		if there.Count() != first || len(here.list()) != 0 || len(there.list()) != 1 {
			t.Errorf("counts %d and %d, notes %v and %v", here.Count(), there.Count(), here.list(), there.list())
		}
		before := store.Traffic()
		for range 1000 {
			a.add("room")
			a.add("another")
			b.add("room")
			time.Sleep(20 * time.Millisecond)
		}
		if got := store.Traffic().Messages - before.Messages; got > 60 {
			t.Errorf("%d messages between nodes in 20 s", got)
		}
		time.Sleep(20 * time.Second)
		last := here.Count()
		for _, c := range []*client{here, there} {
			notes := c.list()
			if n := len(notes); n < 4 || n > 8 || notes[n-1] != last || c.Count() != last || last == first {
				t.Errorf("notes %v, count %d, want %d", notes, c.Count(), last)
			}
		}
		notes := len(there.list())
		time.Sleep(time.Hour) // the counters end, which is no message
		if got := there.list(); len(got) != notes {
			t.Errorf("notes %v of a quiet topic", got[notes:])
		}
		b.add("room")
		time.Sleep(10 * time.Second)
		if got := there.list(); len(got) != notes+1 {
			t.Errorf("notes %v of one message", got[notes:])
		}
		here.Close()
		there.Close()
		time.Sleep(time.Hour)
		if a.conn.Listened() != 2 || b.conn.Listened() != 2 {
			t.Errorf("listen to %d and %d channels of quiet topics, want 2", a.conn.Listened(), b.conn.Listened())
		}
	})
}

// Over a bus that loses, repeats and reorders, nodes that are cut off and nodes that
// crash, every client gets a note after the last message, and all nodes have the same
// count of it.
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
	var nodes []*node
	for range 4 {
		nodes = append(nodes, startNode(t, store))
	}
	for range 400 {
		time.Sleep(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
		i := random.IntN(len(nodes))
		switch k := random.IntN(100); {
		case k < 85:
			nodes[i].add("room")
		case k < 92:
			nodes[i].watch("room").Close()
		case k < 97:
			nodes[i].conn.Cut()
			time.Sleep(time.Duration(random.Int64N(int64(20 * time.Second))))
			nodes[i].conn.Heal()
		case k < 99:
			nodes[i].conn.Cut()
			nodes[i].stop()
			nodes[i] = startNode(t, store)
		}
	}
	var clients []*client
	for _, n := range nodes {
		clients = append(clients, n.watch("room"))
	}
	time.Sleep(30 * time.Second) // the counters of nodes that crashed are gone
	nodes[0].add("room")
	store.Calm()
	time.Sleep(time.Minute)
	var want uint64
	agree := func() {
		for i, c := range clients {
			notes := c.list()
			if c.Count() != want || len(notes) == 0 || notes[len(notes)-1] != want {
				t.Errorf("node %d: count %d and notes %v, want %d", i, c.Count(), notes, want)
			}
		}
	}
	want = clients[0].Count()
	agree()
	for more := range uint64(3) { // after the first, each node has a counter
		for _, n := range nodes {
			for range more + 1 {
				n.add("room")
			}
		}
		time.Sleep(time.Minute)
		if want += 4 * (more + 1); more == 0 {
			want = clients[0].Count()
		}
		want &= 1<<53 - 1
		agree()
	}
	for _, n := range nodes {
		n.stop()
	}
	synctest.Wait()
}

func TestLimits(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	n := startNode(t, store)
	_, watch := n.Watch("", nil)
	if add := n.Add(""); !errors.Is(add, cluster.ErrTopic) || !errors.Is(watch, cluster.ErrTopic) {
		t.Errorf("no topic: %v, %v", add, watch)
	}
	c := n.watch("room")
	n.stop()
	c.Close()
	_, watch = n.Watch("room", nil)
	if add := n.Add("room"); !errors.Is(add, cluster.ErrClosed) || !errors.Is(watch, cluster.ErrClosed) {
		t.Errorf("after Close: %v, %v", add, watch)
	}
}

// A member of many rooms learns that there is something in one of them.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	config := passive.Config{Every: 20 * time.Millisecond}
	one, err := passive.New(store.Connect(), config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	two, err := passive.New(store.Connect(), config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()

	notes := make(chan passive.Note, 1)
	w, err := two.Watch("room", func(n passive.Note) { notes <- n })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	for range 3 { // with each publish
		if err := one.Add("room"); err != nil {
			fmt.Println(err)
			return
		}
	}
	n := <-notes
	fmt.Println("there is something in", n.Topic)
	// Output: there is something in room
}
