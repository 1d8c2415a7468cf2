package natsbroker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// relayed is one server of a cluster, with one client that subscribes to a topic.
type relayed struct {
	*engine.Server
	mu  sync.Mutex
	got map[string]int // how often each text came
}

func startRelayed(t *testing.T, b *natsbroker.Broker, topic string) *relayed {
	t.Helper()
	n := &relayed{got: make(map[string]int)}
	n.Server = &engine.Server{
		Loops:  1,
		Logger: slog.New(slog.DiscardHandler),
		Callbacks: engine.Callbacks{OnGap: func(ws *engine.WebSocket, _ string, _ uint64) {
			_ = ws.SendText("gap")
		}},
	}
	subscribed := make(chan error, 1)
	n.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { subscribed <- ws.Subscribe(topic) }
	r, err := relay.Join(n.Server, b, relay.Config{Tail: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.Close()
		r.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ws, err := engine.Dial(ctx, "ws://"+addr.String(), &engine.DialOptions{Callbacks: engine.Callbacks{
		OnText: func(_ *engine.WebSocket, text []byte) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.got[string(text)]++
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow(); <-ws.Done() })
	if err := <-subscribed; err != nil {
		t.Fatal(err)
	}
	return n
}

// count is how often a text came.
func (n *relayed) count(text string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.got[text]
}

// Plain topics over three servers of NATS, each with a node of its own. A server of NATS
// ends and comes back: its node has a gap, publishes fail clearly meanwhile and come
// through afterwards, and nothing comes twice (C03, C05, C18).
func TestPlainTopicsOverThreeServers(t *testing.T) {
	const topic = "a.b *>\x00 é"
	servers := startThree(t)
	var nodes []*relayed
	for i := range servers.options {
		nodes = append(nodes, startRelayed(t, servers.connect(i), topic))
	}
	// everywhere publishes until a message of each node came to the clients of all nodes.
	everywhere := func(what string) {
		t.Helper()
		for i, from := range nodes {
			for k, to := range nodes {
				n := 0
				until(t, fmt.Sprint(what, " of node ", i, " at node ", k), func() bool {
					n++
					text := fmt.Sprint(what, " ", i, " ", k, " ", n)
					if _, err := from.Publish(topic, engine.TextMessage(text)); err != nil && !errors.Is(err, engine.ErrRelay) {
						t.Fatal(err)
					}
					for tries := range n {
						if to.count(fmt.Sprint(what, " ", i, " ", k, " ", tries+1)) > 0 {
							return true
						}
					}
					return false
				})
			}
		}
	}
	everywhere("first")
	before := nodes[1].count("gap")
	servers.stop(1)
	until(t, "a publish fails", func() bool {
		_, err := nodes[1].Publish(topic, engine.TextMessage("lost"))
		return errors.Is(err, engine.ErrRelay)
	})
	if _, err := nodes[0].Publish(topic, engine.TextMessage("missed by node 1")); err != nil {
		t.Errorf("a publish of another node: %v", err)
	}
	until(t, "others get it", func() bool { return nodes[2].count("missed by node 1") == 1 })
	servers.start(1)
	until(t, "the gap", func() bool { return nodes[1].count("gap") > before })
	everywhere("second")
	for i, n := range nodes {
		n.mu.Lock()
		for text, count := range n.got {
			if count > 1 && text != "gap" && !strings.HasPrefix(text, "lost") {
				t.Errorf("%q came %d times to node %d", text, count, i)
			}
		}
		n.mu.Unlock()
	}
}
