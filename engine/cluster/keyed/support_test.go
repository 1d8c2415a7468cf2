package keyed_test

import (
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// TestMain fails the package when a goroutine outlives its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func bubble(t *testing.T, options clustertest.Options, run func(t *testing.T, store *clustertest.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, clustertest.NewStore(options)) })
}

// node is one node of a test.
type node struct {
	*keyed.Keyed
	t    *testing.T
	conn *clustertest.Conn
}

func startNode(t *testing.T, store *clustertest.Store, config keyed.Config) *node {
	t.Helper()
	conn := store.Connect()
	k, err := keyed.New(conn, config)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{k, t, conn}
	t.Cleanup(n.stop)
	return n
}

func (n *node) stop() {
	n.Close()
	n.conn.Close()
}

// kill ends the node as a crash does.
func (n *node) kill() {
	n.conn.Cut()
	n.stop()
}

func (n *node) set(key, data string) {
	n.t.Helper()
	if err := n.Set("room", key, []byte(data)); err != nil {
		n.t.Fatalf("Set: %v", err)
	}
}

func (n *node) delete(key string) {
	n.t.Helper()
	if err := n.Delete("room", key); err != nil {
		n.t.Fatalf("Delete: %v", err)
	}
}

// client is a subscriber that applies what it gets.
type client struct {
	*keyed.Subscription
	t *testing.T

	mu       sync.Mutex
	lazy     bool // it reads when it is told to, not when it is notified
	has      map[string]string
	batches  int
	values   int
	resets   int
	notified int
}

func (n *node) subscribe(lazy bool) *client {
	n.t.Helper()
	c := &client{t: n.t, lazy: lazy, has: map[string]string{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := n.Subscribe("room", c.notify)
	if err != nil {
		n.t.Fatalf("Subscribe: %v", err)
	}
	c.Subscription = s
	return c
}

func (c *client) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notified++
	if !c.lazy {
		c.next(0)
	}
}

// read reads once.
func (c *client) read(max int) keyed.Batch {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next(max)
}

// readAll reads until there is no more.
func (c *client) readAll() {
	c.t.Helper()
	for reads := 0; c.read(0).More; reads++ {
		time.Sleep(100 * time.Millisecond)
		if reads > 1000 {
			c.t.Fatal("it does not end")
		}
	}
}

func (c *client) next(max int) keyed.Batch {
	batch, err := c.Next(max)
	if err != nil {
		return batch // the node has ended
	}
	if batch.Reset {
		clear(c.has)
		c.resets++
	}
	keys := map[string]bool{}
	for _, v := range batch.Values {
		if keys[v.Key] || v.Gone && batch.Reset {
			c.t.Errorf("%+v, which is twice in the batch, or is gone and was never told", v)
		}
		keys[v.Key] = true
		if v.Gone {
			delete(c.has, v.Key)
		} else {
			c.has[v.Key] = v.Data
		}
	}
	c.batches++
	c.values += len(batch.Values)
	return batch
}

func (c *client) all() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.has)
}

func (c *client) expect(want map[string]string) {
	c.t.Helper()
	if got := c.all(); !maps.Equal(got, want) {
		c.t.Errorf("has %v, want %v", got, want)
	}
}

// settle lets pass what a value takes from node to node, and to a subscriber.
func settle() {
	time.Sleep(500 * time.Millisecond)
	synctest.Wait()
}
