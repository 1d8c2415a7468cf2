package natsbroker_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/cluster/passive"
)

// Keyed topics and counters on NATS, beside each other and under a name of any
// bytes: what was there before somebody subscribes, what changes, and what changes
// while the server is gone.
func TestKeyedAndPassiveOnNATS(t *testing.T) {
	d, options := openDoor(t), natsserver.Options{Dir: t.TempDir()}
	server := d.start(t, options)
	const topic = "a.b *>\x00"
	config := natsbroker.Config{URL: d.url(), Shards: 1}
	start := func() (*keyed.Keyed, *passive.Passive) {
		b := connect(t, server, config)
		k, err1 := keyed.New(b, keyed.Config{Name: "cursors", Lifetime: time.Hour, Every: 10 * time.Millisecond})
		p, err2 := passive.New(b, passive.Config{Every: 50 * time.Millisecond})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		t.Cleanup(k.Close)
		t.Cleanup(p.Close)
		return k, p
	}
	k1, p1 := start()
	k2, p2 := start()
	put := func(key, data string) {
		if err := k1.Set(topic, key, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if err := p1.Add(topic); err != nil {
			t.Fatal(err)
		}
	}
	put("ann", "1")
	s, err := k2.Subscribe(topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := p2.Watch(topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	knows := func(key, data string) func() bool {
		return func() bool {
			batch, err := s.Next(0)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range batch.Values {
				has[v.Key] = v.Data
			}
			return has[key] == data
		}
	}
	until(t, "what ann had", knows("ann", "1"))
	here, err := p1.Watch(topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := here.Count()
	counts := func(n uint64) func() bool {
		return func() bool { return w.Count() == (first+n-1)&(1<<53-1) }
	}
	until(t, "a count of 1", counts(1))
	put("ann", "2")
	put("bob", "1")
	until(t, "what bob has", knows("bob", "1"))
	until(t, "what ann has", knows("ann", "2"))
	until(t, "a count of 3", counts(3))
	server.Close()
	put("ann", "3")
	server = d.start(t, options)
	t.Cleanup(server.Close)
	until(t, "what ann has after a restart", knows("ann", "3"))
	until(t, "a count of 4 after a restart", counts(4))
}
