package keyed_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

type values = map[string]string

// A value that is set on one node is with the subscribers of all, those that come
// later too; the last one to set a key wins, and a value that is deleted is gone.
func TestLastValue(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store, keyed.Config{}), startNode(t, store, keyed.Config{})
		a.set("x", "before")
		here, there := a.subscribe(false), b.subscribe(false)
		settle()
		here.expect(values{"x": "before"})
		there.expect(values{"x": "before"})
		a.set("y", "a")
		b.set("x", "b")
		settle()
		a.set("x", "again a")
		b.delete("y")
		b.delete("nothing")
		late := startNode(t, store, keyed.Config{}).subscribe(false)
		settle()
		for _, c := range []*client{here, there, late} {
			c.expect(values{"x": "again a"})
		}
		if err := a.Set("another", "x", nil); err != nil {
			t.Error(err)
		}
		settle()
		here.expect(values{"x": "again a"})
	})
}

// A value is gone after its lifetime, which begins anew when it is set again. To set
// the same again tells nobody.
func TestLifetime(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		config := keyed.Config{Lifetime: 10 * time.Second}
		a, b := startNode(t, store, config), startNode(t, store, config)
		here, there := a.subscribe(false), b.subscribe(false)
		a.set("typing", "ann")
		a.set("once", "x")
		for range 5 {
			time.Sleep(8 * time.Second)
			a.set("typing", "ann")
			settle()
			if here.all()["typing"] != "ann" || there.all()["typing"] != "ann" {
				t.Errorf("have %v and %v, want typing", here.all(), there.all())
			}
		}
		time.Sleep(11 * time.Second)
		here.expect(values{})
		there.expect(values{})
		if here.values != 4 || there.values != 4 { // both come and go
			t.Errorf("%d and %d values, want 4", here.values, there.values)
		}
		here.Close()
		there.Close()
		time.Sleep(time.Minute)
		if a.conn.Listened() != 2 || b.conn.Listened() != 2 {
			t.Errorf("listen to %d and %d channels when nothing is there, want 2", a.conn.Listened(), b.conn.Listened())
		}
	})
}

// The values of a node that dies are gone within 15 s.
func TestNodeDies(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		config := keyed.Config{Lifetime: time.Hour}
		a, b := startNode(t, store, config), startNode(t, store, config)
		c := a.subscribe(false)
		b.set("x", "b")
		settle()
		c.expect(values{"x": "b"})
		b.kill()
		time.Sleep(15 * time.Second)
		settle()
		c.expect(values{})
	})
}

// Who reads slowly gets the latest value of each key, once, what is gone first, and
// nothing of a key that came and went meanwhile.
func TestSlowReader(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{})
		c := n.subscribe(true)
		n.set("w", "w")
		c.read(0)
		for i := range 100 {
			n.set("x", fmt.Sprint(i))
			n.set("y", fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond)
		}
		n.set("z", "z")
		n.delete("z")
		n.delete("w")
		synctest.Wait()
		if c.notified != 1 {
			t.Errorf("notified %d times, want once until it reads", c.notified)
		}
		if batch := c.read(2); len(batch.Values) != 2 || !batch.Values[0].Gone || batch.Values[0].Key != "w" || !batch.More {
			t.Errorf("%+v, want w to be gone, a value and more", batch)
		}
		if batch := c.read(2); len(batch.Values) != 1 || batch.More {
			t.Errorf("%+v, want one value", batch)
		}
		c.expect(values{"x": "99", "y": "99"})
		if c.values != 4 {
			t.Errorf("%d values, want 4", c.values)
		}
	})
}

// A subscriber gets as many values as the cap allows, in batches with a distance,
// and all that are there in the end. Other nodes get no more either.
func TestCap(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		config := keyed.Config{Rate: 50}
		a, b := startNode(t, store, config), startNode(t, store, config)
		here, there := a.subscribe(false), b.subscribe(false)
		settle()
		before := store.Traffic()
		want := values{}
		for i := range 10 * 100 { // 1000 values a second of 100 keys
			for k := range 10 {
				key, data := fmt.Sprintf("key %02d", i%10*10+k), fmt.Sprint("data ", i)
				a.set(key, data)
				want[key] = data
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, c := range []*client{here, there} {
			c.mu.Lock()
			if limit := 50 * 11; c.values > limit || c.values < limit/2 || c.batches > 105 {
				t.Errorf("%d values in %d batches in 10 s, want %d at most and not much less", c.values, c.batches, limit)
			}
			c.mu.Unlock()
		}
		if got := store.Traffic().Bytes - before.Bytes; got > 50*11*60 {
			t.Errorf("%d bytes between nodes, 60 for each value that is allowed are %d", got, 50*11*60)
		}
		time.Sleep(5 * time.Second)
		here.expect(want)
		there.expect(want)
	})
}

// The largest values reach who subscribes later, though a message of the bus has room
// for few of them.
func TestLargeValues(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		config := keyed.Config{MaxValue: 1 << 20, Rate: 1000}
		a, b := startNode(t, store, config), startNode(t, store, config)
		want := values{}
		large := strings.Repeat("x", 8192)
		for i := range 500 {
			key := fmt.Sprint("k", i)
			a.set(key, large)
			want[key] = large
			if i == 63 { // as many as one bucket has
				settle() // nobody listens to the deltas
				early := b.subscribe(false)
				settle()
				if got := early.all(); len(got) != 64 {
					t.Errorf("%d values of 64", len(got))
				}
				early.Close()
			}
		}
		time.Sleep(2 * time.Second)
		c := startNode(t, store, config).subscribe(false)
		settle()
		if got := c.all(); len(got) != len(want) {
			t.Errorf("%d values of %d", len(got), len(want))
		}
		if err := a.Set("room", "x", make([]byte, 8193)); !errors.Is(err, keyed.ErrTooLarge) {
			t.Errorf("8193 bytes: %v", err)
		}
	})
}

// What cannot be is refused.
func TestLimits(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store, keyed.Config{MaxKeys: 2, MaxValue: 10, Lifetime: time.Second})
		for _, key := range []string{"", strings.Repeat("x", keyed.MaxKey+1)} {
			if err := n.Set("room", key, nil); !errors.Is(err, keyed.ErrKey) {
				t.Errorf("%q: %v", key, err)
			}
		}
		if err := n.Set("room", "x", make([]byte, 11)); !errors.Is(err, keyed.ErrTooLarge) {
			t.Errorf("11 bytes: %v", err)
		}
		n.set("x", "")
		n.set("y", "")
		n.set("x", "again")
		if err := n.Set("room", "z", nil); !errors.Is(err, keyed.ErrFull) {
			t.Errorf("a third key: %v", err)
		}
		time.Sleep(2 * time.Second)
		n.set("z", "")
		_, subscribe := n.Subscribe("", nil)
		if set := n.Set("", "x", nil); !errors.Is(set, cluster.ErrTopic) || !errors.Is(subscribe, cluster.ErrTopic) {
			t.Errorf("no topic: %v, %v", set, subscribe)
		}
		c := n.subscribe(true)
		n.stop()
		_, next := c.Next(0)
		_, subscribe = n.Subscribe("room", nil)
		c.Close()
		if set := n.Set("room", "x", nil); !errors.Is(set, cluster.ErrClosed) || !errors.Is(next, cluster.ErrClosed) || !errors.Is(subscribe, cluster.ErrClosed) {
			t.Errorf("after Close: %v, %v, %v", set, next, subscribe)
		}
		if _, err := keyed.New(store.Connect(), keyed.Config{Name: "a.b"}); !errors.Is(err, cluster.ErrTopic) {
			t.Errorf("a name with a dot: %v", err)
		}
	})
}

// All methods may be called by any goroutine.
func TestAtTheSameTime(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	var nodes []*node
	for range 2 {
		nodes = append(nodes, startNode(t, store, keyed.Config{Every: time.Millisecond, Lifetime: 5 * time.Millisecond}))
	}
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			n := nodes[i%2]
			for k := range 100 {
				s, err := n.Subscribe("room", func() {})
				if err != nil {
					t.Errorf("Subscribe: %v", err)
					return
				}
				set, gone := n.Set("room", fmt.Sprint(k%10), []byte{byte(k)}), n.Delete("room", fmt.Sprint(k%7))
				if _, err := s.Next(0); err != nil || set != nil || gone != nil {
					t.Errorf("%v, %v, %v", err, set, gone)
				}
				s.Close()
			}
		})
	}
	work.Wait()
}
