package presence_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Who joins on one node is seen on all, once, with all connections on all nodes.
func TestOnePresenceOfManyConnections(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store, presence.Config{}), startNode(t, store, presence.Config{})
		first := a.join("room", "ann")
		here, there := a.watch("room"), b.watch("room")
		settle()
		second, third := b.join("room", "ann"), b.join("room", "ann")
		b.join("room", "bob")
		b.join("another", "eve")
		settle()
		for _, c := range []*client{here, there} {
			c.expect(2, "ann", "bob")
			if got := c.members(); !slices.Equal(got, []string{"ann 3", "bob 1"}) {
				t.Errorf("members %v", got)
			}
		}
		first()
		first()
		third()
		time.Sleep(time.Minute)
		here.expect(2, "ann", "bob")
		if got := here.members(); !slices.Equal(got, []string{"ann 1", "bob 1"}) {
			t.Errorf("members %v", got)
		}
		second()
		time.Sleep(time.Minute)
		here.expect(1, "bob")
		there.expect(1, "bob")
		_, named, _, _ := here.cost()
		if _, other, _, _ := there.cost(); named != 2 || other != 3 { // here ann was known from the beginning
			t.Errorf("%d and %d names told, want 2 and 3", named, other)
		}
	})
}

// A reconnect within the grace time is no leave, on the same node or another one,
// also when a node ends or is started anew.
func TestReconnectIsNoLeave(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store, presence.Config{}), startNode(t, store, presence.Config{})
		c := startNode(t, store, presence.Config{}).watch("room")
		leave := a.join("room", "ann")
		settle()
		for range 5 {
			leave()
			time.Sleep(4 * time.Second)
			leave = a.join("room", "ann")
		}
		leave()
		time.Sleep(4 * time.Second)
		b.join("room", "ann")
		time.Sleep(time.Minute)
		b.stop()
		time.Sleep(4 * time.Second)
		a.join("room", "ann")
		time.Sleep(time.Minute)
		c.expect(1, "ann")
		if _, named, _, _ := c.cost(); named != 1 {
			t.Errorf("%d names told, want 1", named)
		}
	})
}

// One who leaves is gone after the grace time, and those of a node that dies within
// 15 s.
func TestLeaves(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store, presence.Config{}), startNode(t, store, presence.Config{})
		c := a.watch("room")
		leave := b.join("room", "ann")
		b.join("room", "bob")
		settle()
		leave()
		time.Sleep(4900 * time.Millisecond)
		if c.Count() != 2 {
			t.Error("ann left within the grace time")
		}
		time.Sleep(time.Second)
		if c.Count() != 1 {
			t.Error("ann is there after the grace time")
		}
		b.kill()
		time.Sleep(15 * time.Second)
		if c.Count() != 0 {
			t.Error("bob is there 15 s after his node died")
		}
		settle()
		c.expect(0)
	})
}

// Each level tells what it has, and no more.
func TestLevels(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		levels := map[string]presence.Level{
			"off": presence.Off, "count": presence.Count, "sample": presence.Sample, "pages": presence.Pages, "full": presence.Full,
		}
		config := presence.Config{Sample: 3, Level: func(topic string) presence.Level { return levels[topic] }}
		a, b := startNode(t, store, config), startNode(t, store, config)
		if _, err := b.Watch("off", nil); !errors.Is(err, presence.ErrLevel) {
			t.Errorf("Watch of a topic that is off: %v", err)
		}
		a.join("off", "ann")()
		clients := map[string]*client{}
		for name := range levels {
			if name != "off" {
				clients[name] = b.watch(name)
				for i := range 5 {
					a.join(name, fmt.Sprint("user ", i))
				}
			}
		}
		settle()
		for name, c := range clients {
			c.mu.Lock()
			_, err := c.Page("", 2)
			pages := err == nil
			if c.state.Count != 5 || pages != (name == "pages" || name == "full") ||
				(len(c.state.Sample) == 3) != (name == "sample") || (len(c.users) == 5) != (name == "full") {
				t.Errorf("%s: %+v, %d users, page %v", name, c.state, len(c.users), err)
			}
			c.mu.Unlock()
		}
	})
}

// The users of a sample who leave are replaced.
func TestSample(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, presence.Config{Sample: 2, Level: func(string) presence.Level { return presence.Sample }})
		c := n.watch("room")
		leaves := map[string]func(){}
		for i := range 6 {
			name := fmt.Sprint("user ", i)
			leaves[name] = n.join("room", name)
		}
		for len(leaves) > 2 {
			time.Sleep(10 * time.Second)
			for _, name := range c.State().Sample {
				if leaves[name] == nil {
					t.Fatalf("%s of %v is not there", name, c.State())
				}
				leaves[name]()
				delete(leaves, name)
			}
		}
		time.Sleep(10 * time.Second)
		if s := c.State(); len(s.Sample) != 2 || leaves[s.Sample[0]] == nil || s.Count != 2 {
			t.Errorf("state %+v", s)
		}
	})
}

// Above Config.Full the names end, and begin anew below three quarters of it.
// Meanwhile the count and pages go on.
func TestFullIsLeftAndComesBack(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		config := presence.Config{Full: 8}
		a, b := startNode(t, store, config), startNode(t, store, config)
		c := b.watch("room")
		var leaves []func()
		for i := range 9 {
			leaves = append(leaves, a.join("room", fmt.Sprint("user ", i)))
		}
		settle()
		c.expect(9)
		if c.State().Names || len(c.members()) != 9 {
			t.Errorf("above Full: %+v, %v", c.State(), c.members())
		}
		leaves[0]()
		leaves[1]()
		time.Sleep(10 * time.Second)
		c.expect(7)
		leaves[2]()
		time.Sleep(10 * time.Second)
		c.expect(6, "user 3", "user 4", "user 5", "user 6", "user 7", "user 8")
		late := b.watch("room")
		late.expect(6, "user 3", "user 4", "user 5", "user 6", "user 7", "user 8")
		late.Close()
		c.Close()
		time.Sleep(time.Minute)
		if got := b.conn.Listened(); got != 2 {
			t.Errorf("listens to %d channels after the last watch, want 2", got)
		}
	})
}

// The names of a topic with 80 users who change all the time fit the cap, and all
// are told in the end.
func TestCapOfNames(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		config := presence.Config{Bytes: 300, Grace: time.Millisecond}
		a, b := startNode(t, store, config), startNode(t, store, config)
		c := b.watch("room")
		var leaves []func()
		for i := range 800 {
			leaves = append(leaves, a.join("room", fmt.Sprintf("user %4d", i)))
			if i >= 80 {
				leaves[i-80]()
			}
			time.Sleep(50 * time.Millisecond)
		}
		_, _, bytes, largest := c.cost()
		if limit := 300 * 41; bytes > limit || bytes < limit/2 || largest > 300 {
			t.Errorf("%d bytes in 40 s, %d at once; want %d at most and not much less, 300 at once", bytes, largest, limit)
		}
		time.Sleep(20 * time.Second)
		var want []string
		for i := 720; i < 800; i++ {
			want = append(want, fmt.Sprintf("user %4d", i))
		}
		c.expect(80, want...)
	})
}

// 50 000 join one topic and most of them leave it in 10 s (C16): what clients get is
// within the cap, and all nodes agree on who is there within 5 s after.
func TestStorm(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		const count, stay = 50000, 1000
		var nodes []*node
		var clients []*client
		for range 3 {
			n := startNode(t, store, presence.Config{Grace: 2 * time.Second})
			nodes, clients = append(nodes, n), append(clients, n.watch("room"))
		}
		settle()
		before := store.Traffic()
		leaves := make([]func(), count)
		there := map[string]bool{}
		for i := range count {
			name := fmt.Sprint("user ", i)
			leaves[i] = nodes[i%3].join("room", name)
			there[name+" 1"] = true
			if i >= stay && i%10 > 0 {
				leaves[i-stay]()
				delete(there, fmt.Sprint("user ", i-stay, " 1"))
			}
			if i%500 == 499 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		time.Sleep(5 * time.Second)
		want := slices.Sorted(maps.Keys(there))
		for i, c := range clients {
			if got := c.members(); c.State().Count != len(want) || c.Count() != len(want) || !slices.Equal(got, want) {
				t.Errorf("node %d: its clients know %d users, it has %d, want %d", i, c.State().Count, len(got), len(want))
			}
			if updates, _, bytes, _ := c.cost(); bytes > 2048*16 || updates > 16 {
				t.Errorf("node %d: %d bytes in %d updates, want %d at most", i, bytes, updates, 2048*16)
			}
			c.expect(len(want))
		}
		after := store.Traffic()
		updates, _, bytes, _ := clients[0].cost()
		t.Logf("%d users stay; %d bytes to a client in %d updates; between nodes %d messages and %d bytes", len(want),
			bytes, updates, after.Messages-before.Messages, after.Bytes-before.Bytes)
	})
}

// What cannot be is refused.
func TestLimits(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, presence.Config{})
		for _, user := range []string{"", strings.Repeat("x", presence.MaxUser+1)} {
			if _, err := n.Join("room", user); !errors.Is(err, presence.ErrUser) {
				t.Errorf("%q: %v", user, err)
			}
		}
		_, join := n.Join("", "ann")
		_, watch := n.Watch("", nil)
		if !errors.Is(join, cluster.ErrTopic) || !errors.Is(watch, cluster.ErrTopic) {
			t.Errorf("no topic: %v, %v", join, watch)
		}
		leave, w := n.join("room", "ann"), n.watch("room")
		n.stop()
		leave()
		w.Close()
		_, join = n.Join("room", "ann")
		_, watch = n.Watch("room", nil)
		if !errors.Is(join, cluster.ErrClosed) || !errors.Is(watch, cluster.ErrClosed) {
			t.Errorf("after Close: %v, %v", join, watch)
		}
	})
}

// Joins, leaves, watches and Close may come from any goroutine.
func TestAtTheSameTime(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	var work sync.WaitGroup
	var nodes []*node
	for range 2 {
		nodes = append(nodes, startNode(t, store, presence.Config{Grace: time.Millisecond, Every: time.Millisecond, Full: 5}))
	}
	for i := range 8 {
		work.Go(func() {
			for k := range 100 {
				leave, err := nodes[i%2].Join("room", fmt.Sprint("user ", k%10))
				if err != nil {
					t.Errorf("Join: %v", err)
					return
				}
				w, err := nodes[i%2].Watch("room", func(presence.Update) {})
				if err != nil {
					t.Errorf("Watch: %v", err)
					return
				}
				w.State()
				if _, err := w.Page("", 3); err != nil {
					t.Errorf("Page: %v", err)
				}
				w.Close()
				leave()
			}
		})
	}
	work.Wait()
}
