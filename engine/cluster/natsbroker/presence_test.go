package natsbroker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Presence on NATS: who is there before somebody watches, who joins and leaves, and
// what changes while the server is gone.
func TestPresenceOnNATS(t *testing.T) {
	d, options := openDoor(t), natsserver.Options{Dir: t.TempDir()}
	server := d.start(t, options)
	config := natsbroker.Config{URL: d.url(), Shards: 1}
	start := func() *presence.Presence {
		p, err := presence.New(connect(t, server, config), presence.Config{Grace: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	a, b := start(), start()
	join := func(user string) (leave func()) {
		leave, err := a.Join(topic, user)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	var leaves []func()
	for i := range 200 {
		leaves = append(leaves, join(fmt.Sprint("user ", i)))
	}
	w, err := b.Watch(topic, func(presence.Update) {})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "200 users", func() bool { return w.Count() == 200 })
	leaves[0]()
	join("eve")
	join("mallory")
	until(t, "201 users", func() bool { return w.Count() == 201 })
	server.Close()
	leaves[1]()
	leaves[2]()
	server = d.start(t, options)
	t.Cleanup(server.Close)
	until(t, "199 users after a restart", func() bool { return w.Count() == 199 })
}
