package relay_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// patience bounds every wait of a test against hanging.
const patience = time.Minute

// until waits for a condition.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// node is one server of a cluster.
type node struct {
	*engine.Server
	*relay.Relay
	t      testing.TB
	addr   string
	joined chan *engine.WebSocket
}

// startNode returns a server that ends with the test. What OnGap is called with is sent
// to the client.
func startNode(t testing.TB, bus cluster.Bus, config relay.Config, edit func(*engine.Server)) *node {
	t.Helper()
	n := &node{t: t, joined: make(chan *engine.WebSocket, 1)}
	n.Server = &engine.Server{
		Loops:  2,
		Logger: slog.New(slog.DiscardHandler),
		Callbacks: engine.Callbacks{OnGap: func(ws *engine.WebSocket, topic string, _ uint64) {
			_ = ws.SendText("gap " + topic)
		}},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { n.joined <- ws },
	}
	if edit != nil {
		edit(n.Server)
	}
	var err error
	if n.Relay, err = relay.Join(n.Server, bus, config); err != nil {
		t.Fatal(err)
	}
	addr, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = addr.String()
	t.Cleanup(func() {
		if err := n.Server.Close(); err != nil {
			t.Error(err)
		}
		n.Relay.Close()
	})
	return n
}

func (n *node) publish(topic, text string) {
	n.t.Helper()
	if _, err := n.Publish(topic, engine.TextMessage(text)); err != nil {
		n.t.Errorf("publishing %q: %v", text, err)
	}
}

// Publish is that of the server: a Relay has one too.
func (n *node) Publish(topic string, m engine.Message) (engine.Delivery, error) {
	return n.Server.Publish(topic, m)
}

// Stats are those of the relay.
func (n *node) Stats() relay.Stats { return n.Relay.Stats() }

// Close ends the node before the test does.
func (n *node) Close() {
	if err := n.Server.Close(); err != nil {
		n.t.Error(err)
	}
	n.Relay.Close()
}

// client is a WebSocket of a node that keeps what it gets.
type client struct {
	t  testing.TB
	ws *engine.WebSocket // of the server

	mu  sync.Mutex
	got []string
}

// join returns a client that subscribes to topics.
func (n *node) join(topics ...string) *client {
	n.t.Helper()
	c := &client{t: n.t}
	c.ws = n.dial(c.add)
	for _, topic := range topics {
		c.subscribe(topic)
	}
	return c
}

// dial opens a WebSocket whose messages are given to receive, and returns the server's side.
func (n *node) dial(receive func(text string)) *engine.WebSocket {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := engine.Dial(ctx, "ws://"+n.addr, &engine.DialOptions{Callbacks: engine.Callbacks{
		OnMessage: func(_ *engine.WebSocket, _ engine.OpCode, data []byte) { receive(string(data)) },
	}})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { ws.CloseNow(); <-ws.Done() })
	select {
	case side := <-n.joined:
		return side
	case <-time.After(patience):
		n.t.Fatal("OnUpgrade was not called")
		return nil
	}
}

func (c *client) subscribe(topic string) {
	c.t.Helper()
	if err := c.ws.Subscribe(topic); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) add(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, text)
}

// all is what came so far.
func (c *client) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.got, ", ")
}

// want waits until what came is this.
func (c *client) want(texts ...string) {
	c.t.Helper()
	want := strings.Join(texts, ", ")
	for limit := time.Now().Add(patience); c.all() != want; time.Sleep(2 * time.Millisecond) {
		if got := c.all(); len(got) > len(want) || time.Now().After(limit) {
			c.t.Fatalf("got  %.300s\nwant %.300s", got, want)
		}
	}
}

// lossy is a Bus that loses messages on the way when it is told to.
type lossy struct {
	cluster.Bus
	mu   sync.Mutex
	lose int // so many messages from now on
	sent int
}

func (b *lossy) Send(c cluster.Channel, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	if b.lose > 0 {
		b.lose--
		return nil
	}
	return b.Bus.Send(c, data)
}

func (b *lossy) loseNext(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose = n
}

func (b *lossy) left() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lose
}

// count is the number of frames that were sent, heads included.
func (b *lossy) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}
