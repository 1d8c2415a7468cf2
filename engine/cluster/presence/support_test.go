package presence_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// TestMain fails the package when a goroutine outlives its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func bubble(t *testing.T, options clustertest.Options, run func(t *testing.T, store *clustertest.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, clustertest.NewStore(options)) })
}

// node is one node of a test.
type node struct {
	*presence.Presence
	t    *testing.T
	conn *clustertest.Conn
}

func startNode(t *testing.T, store *clustertest.Store, config presence.Config) *node {
	t.Helper()
	conn := store.Connect()
	p, err := presence.New(conn, config)
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

// kill ends the node as a crash does.
func (n *node) kill() {
	n.conn.Cut()
	n.stop()
}

func (n *node) join(topic, user string) (leave func()) {
	n.t.Helper()
	leave, err := n.Join(topic, user)
	if err != nil {
		n.t.Fatalf("Join: %v", err)
	}
	return leave
}

// client is one who watches a topic, and applies what it gets.
type client struct {
	*presence.Watch
	t    *testing.T
	name string // of the topic

	mu      sync.Mutex
	state   presence.State
	users   map[string]bool
	updates int
	named   int // names in updates
	bytes   int // of updates, as Config.Bytes counts
	largest int // of them
}

// watch starts a client with the state of now.
func (n *node) watch(topic string) *client {
	n.t.Helper()
	c := &client{t: n.t, name: topic, users: map[string]bool{}}
	w, err := n.Watch(topic, c.update)
	if err != nil {
		n.t.Fatalf("Watch: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Watch, c.state = w, w.State()
	for _, name := range c.state.Users {
		c.users[name] = true
	}
	return c
}

// update applies an update, and checks that it fits.
func (c *client) update(u presence.Update) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u.Seq <= c.state.Seq { // of before the state
		return
	}
	if u.Seq != c.state.Seq+1 {
		c.t.Errorf("update %d after %d", u.Seq, c.state.Seq)
	}
	c.state.Seq, c.state.Count, c.state.Names = u.Seq, u.Count, u.Names
	if u.Reset {
		clear(c.users)
	}
	if len(u.Sample) > 0 {
		c.state.Sample = u.Sample
	}
	for _, name := range u.Joined {
		if c.users[name] || !u.Names {
			c.t.Errorf("%s joins again, or is named and should not be", name)
		}
		c.users[name] = true
	}
	for _, name := range u.Left {
		if !c.users[name] {
			c.t.Errorf("%s leaves, and was not there", name)
		}
		delete(c.users, name)
	}
	c.updates++
	c.named += len(u.Joined) + len(u.Left)
	size := 24
	for _, names := range [][]string{u.Joined, u.Left, u.Sample} {
		for _, name := range names {
			size += len(name) + 4
		}
	}
	c.bytes += size
	c.largest = max(c.largest, size)
}

// cost returns what the client got, in updates, names and bytes, and in the largest
// update.
func (c *client) cost() (updates, named, bytes, largest int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.updates, c.named, c.bytes, c.largest
}

// expect checks what the client knows.
func (c *client) expect(count int, users ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := slices.Sorted(maps.Keys(c.users))
	if c.state.Count != count || !slices.Equal(got, users) {
		c.t.Errorf("the client knows %d users, %v; want %d, %v", c.state.Count, got, count, users)
	}
}

// members returns all users of a topic, by pages.
func (c *client) members() (all []string) {
	c.t.Helper()
	after := ""
	for {
		page, err := c.Page(after, 7)
		if err != nil {
			c.t.Fatalf("Page: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		for _, m := range page {
			all = append(all, fmt.Sprint(m.User, " ", m.Connections))
			after = m.User
		}
	}
}

// settle lets pass what an update takes.
func settle() {
	time.Sleep(3 * time.Second)
	synctest.Wait()
}
