package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// Clients that share one subscription, each from the state in which it joined, have what
// there is when nothing changes any more.
func TestState(t *testing.T) {
	seeds.Each(t, 10, func(t *testing.T, seed uint64) {
		bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
			random := rand.New(rand.NewPCG(seed, 1))
			n := startNode(t, store, keyed.Config{Rate: 50 + random.IntN(100), Lifetime: time.Hour})
			shared, err := n.Subscribe("room", nil)
			if err != nil {
				t.Fatal(err)
			}
			var clients []values
			read := func(max int) bool {
				batch, err := shared.Next(max)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range clients {
					if batch.Reset {
						clear(c)
					}
					for _, v := range batch.Values {
						c[v.Key] = v.Data
						if v.Gone {
							delete(c, v.Key)
						}
					}
				}
				return batch.More
			}
			for i := range 6000 {
				key := fmt.Sprint("k", random.IntN(3000))
				switch k := random.IntN(100); {
				case k < 55:
					n.set(key, fmt.Sprint(i))
				case k < 95:
					n.delete(key)
				case k < 97:
					c := values{}
					state, _ := shared.State(10000, 1<<20)
					for _, v := range state {
						c[v.Key] = v.Data
					}
					clients = append(clients, c)
				case k < 99:
					read(random.IntN(20))
				default:
					time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
				}
			}
			for read(0) {
				time.Sleep(time.Second)
			}
			synctest.Wait()
			last := n.subscribe(true)
			last.readAll()
			for _, c := range clients {
				last.expect(c)
			}
			state := values{}
			all, more := shared.State(10000, 1<<20)
			for _, v := range all {
				state[v.Key] = v.Data
			}
			last.expect(state)
			if more {
				t.Error("more than all values")
			}
			if got, more := shared.State(7, 1<<20); len(got) != 7 || !more {
				t.Errorf("%d values of 7, more: %v", len(got), more)
			}
			budget := 0
			for _, v := range all[:5] {
				budget += len(v.Key) + len(v.Data)
			}
			if got, more := shared.State(10000, budget); len(got) != 5 || !more {
				t.Errorf("%d values of 5 by their bytes, more: %v", len(got), more)
			}
			if got, more := shared.State(10000, budget-1); len(got) != 4 || !more {
				t.Errorf("%d values of 4 by their bytes, more: %v", len(got), more)
			}
		})
	})
}
