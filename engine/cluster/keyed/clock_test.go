package keyed

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// A value that is set by a node that has seen the other's is the last one, though its
// clock is an hour behind.
func TestClocksMayDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		var nodes []*Keyed
		var subs []*Subscription
		for range 2 {
			k, err := New(store.Connect(), Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			s, err := k.Subscribe("room", nil)
			if err != nil {
				t.Fatal(err)
			}
			nodes, subs = append(nodes, k), append(subs, s)
		}
		nodes[0].group.Lock()
		nodes[0].clock = uint64(time.Now().Add(time.Hour).UnixMicro())
		nodes[0].group.Unlock()
		for i, data := range []string{"ahead", "behind"} {
			if err := nodes[i].Set("room", "x", []byte(data)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for _, s := range subs {
				if batch, err := s.Next(0); err != nil || len(batch.Values) != 1 || batch.Values[0].Data != data {
					t.Errorf("%+v, %v; want %s", batch, err, data)
				}
			}
		}
	})
}

// A value that is set on a node that has seen the other's wins, though that was set again
// since, which changed nothing and is not sent, by a clock that is an hour ahead.
func TestClocksMayDifferWhereTheSameIsSetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		var nodes []*Keyed
		var subs []*Subscription
		for range 2 {
			k, err := New(store.Connect(), Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			s, err := k.Subscribe("room", nil)
			if err != nil {
				t.Fatal(err)
			}
			nodes, subs = append(nodes, k), append(subs, s)
		}
		nodes[0].group.Lock()
		nodes[0].ahead = uint64(time.Hour.Microseconds())
		nodes[0].group.Unlock()
		set := func(node int, data string) {
			if err := nodes[node].Set("room", "x", []byte(data)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		own := func() string {
			nodes[0].group.Lock()
			defer nodes[0].group.Unlock()
			return nodes[0].group.Own("room", "x")
		}
		set(0, "ahead")
		before := own()
		set(0, "ahead")
		if own() != before {
			t.Error("what changes nothing is sent")
		}
		set(1, "behind")
		for _, s := range subs {
			if batch, err := s.Next(0); err != nil || len(batch.Values) != 1 || batch.Values[0].Data != "behind" {
				t.Errorf("%+v, %v; want behind", batch, err)
			}
		}
	})
}
