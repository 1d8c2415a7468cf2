package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// Nodes set and delete values of the same keys, are cut off, crash and end, over a
// bus that loses, repeats and reorders; subscribers come, go and read at their own
// pace. After a quiet time all subscribers have the same: the value that was set
// last of each key, if it was set after the trouble; and nothing when the lifetimes
// are over. In half of the runs values live for 20 s, in the others for longer than the trouble.
func TestModel(t *testing.T) {
	seeds.Each(t, 10, func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { runModel(t, seed) })
	})
}

const long = 20 * time.Minute

func runModel(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	store := clustertest.NewStore(clustertest.Options{Seed: seed, Faults: clustertest.Faults{
		Lose: 0.1, Repeat: 0.1, Delay: 300 * time.Millisecond,
	}})
	config := keyed.Config{Lifetime: []time.Duration{20 * time.Second, long}[seed%2], Rate: 60}
	var nodes []*node
	type member struct {
		*client
		node int
	}
	var clients []member
	for range 4 {
		nodes = append(nodes, startNode(t, store, config))
	}
	restart := func(i int) {
		clients = slices.DeleteFunc(clients, func(c member) bool { return c.node == i })
		nodes[i] = startNode(t, store, config)
	}
	for range 800 {
		time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		i := random.IntN(len(nodes))
		key := fmt.Sprint("k", random.IntN(30))
		switch k := random.IntN(100); {
		case k < 60:
			nodes[i].set(key, fmt.Sprint(random.IntN(50)))
		case k < 75:
			nodes[i].delete(key)
		case k < 82:
			clients = append(clients, member{nodes[i].subscribe(random.IntN(3) == 0), i})
		case k < 88 && len(clients) > 0:
			n := random.IntN(len(clients))
			clients[n].Close()
			clients = slices.Delete(clients, n, n+1)
		case k < 94 && len(clients) > 0:
			clients[random.IntN(len(clients))].read(1 + random.IntN(9))
		case k < 97:
			nodes[i].conn.Cut()
			time.Sleep(time.Duration(random.Int64N(int64(20 * time.Second))))
			nodes[i].conn.Heal()
		case k < 98:
			nodes[i].kill()
			restart(i)
		case k < 99:
			nodes[i].stop()
			restart(i)
		}
	}
	store.Calm()
	for i := range nodes {
		clients = append(clients, member{nodes[i].subscribe(false), i})
	}
	time.Sleep(time.Minute) // every node knows what the others have set
	sure := values{}
	for i := range 20 {
		key, data := fmt.Sprint("k", random.IntN(30)), fmt.Sprint("sure ", i)
		nodes[random.IntN(len(nodes))].set(key, data)
		sure[key] = data
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(min(40*time.Second, config.Lifetime/2))
	for _, c := range clients {
		for c.read(0).More {
			time.Sleep(time.Second)
		}
	}
	want := sure
	if config.Lifetime == long { // what was set in the trouble is there too
		want = clients[len(clients)-1].all()
	}
	for key, data := range sure {
		if want[key] != data {
			t.Errorf("%s is %q, and was set to %q", key, want[key], data)
		}
	}
	for _, c := range clients {
		c.expect(want)
	}
	time.Sleep(config.Lifetime)
	for _, c := range clients {
		c.read(0)
		c.expect(values{})
	}
	for i := range nodes {
		nodes[i].stop()
	}
	synctest.Wait()
}
