package cluster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// world is one run of the model: nodes, publishers, clients that come, go and
// resume, and a broker with faults.
type world struct {
	t        *testing.T
	store    *clustertest.Store
	conns    []*clustertest.Conn
	nodes    []*cluster.Node
	topics   []string
	seed     uint64
	lossy    bool // the store may lose messages, so positions may be lost
	calm     chan struct{}
	mu       sync.Mutex
	acked    map[string]cluster.Position // by id
	lost     int
	arrived  int
	scrolled int
}

// Every client gets every message behind its position once and in order, or is
// told that its position is lost. The broker says which message was the last of
// the topic when the next was stored, so each message of a client is checked to
// be that of the one before. Where the store loses nothing, no position is lost
// and everything that was acknowledged arrives. All ends at the end of the topic.
func TestModel(t *testing.T) {
	kinds := []struct {
		name    string
		options clustertest.Options
		lossy   bool
	}{
		{"keeps everything", clustertest.Options{}, false},
		{"keeps few", clustertest.Options{MaxPerTopic: 8}, true},
		{"forgets by age", clustertest.Options{MaxAge: 20 * time.Second}, true},
		{"loses its store", clustertest.Options{}, true},
		{"loses its store and forgets", clustertest.Options{MaxPerTopic: 30, MaxAge: 20 * time.Second}, true},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			seeds.Each(t, 10, func(t *testing.T, seed uint64) {
				kind.options.Seed = seed
				kind.options.Faults = clustertest.Faults{
					Lose: 0.1, Repeat: 0.1, LoseAck: 0.1, Fail: 0.05, Lag: 0.2, Delay: 300 * time.Millisecond,
				}
				synctest.Test(t, func(t *testing.T) {
					w := &world{t: t, store: clustertest.NewStore(kind.options), seed: seed, lossy: kind.lossy}
					w.run(strings.HasPrefix(kind.name, "loses"))
				})
			})
		})
	}
}

func (w *world) run(wipes bool) {
	w.topics = []string{"a", "b", "quiet"}
	w.calm = make(chan struct{})
	w.acked = make(map[string]cluster.Position)
	config := cluster.Config{
		Ring:       cluster.Budget{Messages: 12, Bytes: 4000},
		Page:       cluster.Budget{Messages: 9, Bytes: 2500},
		CheckEvery: 5 * time.Second,
		Linger:     2 * time.Second,
		Requests:   2,
	}
	for range 3 {
		conn := w.store.Connect()
		w.conns = append(w.conns, conn)
		w.nodes = append(w.nodes, cluster.NewNode(conn, config))
	}
	var trouble, publishers, clients sync.WaitGroup
	trouble.Go(func() { w.trouble(rand.New(rand.NewPCG(w.seed, 2)), wipes) })
	for i := range uint64(3) {
		publishers.Go(func() { w.publisher(rand.New(rand.NewPCG(w.seed, 10+i)), i) })
	}
	for i := range uint64(12) {
		clients.Go(func() {
			c := &client{world: w, random: rand.New(rand.NewPCG(w.seed, 100+i)), topic: w.topics[i%3]}
			c.run()
		})
	}
	trouble.Wait()
	publishers.Wait()
	close(w.calm)
	clients.Wait()
	w.judge()
	for _, n := range w.nodes {
		n.Close()
	}
	synctest.Wait()
}

// trouble cuts connections and restarts the store for a minute, then heals all.
func (w *world) trouble(random *rand.Rand, wipes bool) {
	old := w.store.Snapshot()
	for range 12 {
		time.Sleep(rand.N(6 * time.Second))
		switch k := random.IntN(4); k {
		case 0, 1:
			c := w.conns[random.IntN(len(w.conns))]
			c.Cut()
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
			c.Heal()
		case 2:
			old = w.store.Snapshot()
		case 3:
			w.store.Stop()
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
			if wipes && random.IntN(2) == 0 {
				w.store.Wipe()
				old = w.store.Snapshot()
			} else if wipes {
				w.store.Restore(old)
			}
			w.store.Start()
		}
	}
	w.store.Calm()
}

// publisher publishes for a minute, each message until it is acknowledged.
func (w *world) publisher(random *rand.Rand, number uint64) {
	for i := range 150 {
		time.Sleep(time.Duration(random.Int64N(int64(800 * time.Millisecond))))
		topic := w.topics[random.IntN(2)]
		if random.IntN(40) == 0 {
			topic = "quiet"
		}
		id := fmt.Sprintf("%d-%d", number, i)
		data := make([]byte, random.IntN(8)*random.IntN(200))
		for {
			ack, err := w.nodes[random.IntN(len(w.nodes))].Publish(w.t.Context(), topic, id, data)
			if err == nil {
				w.mu.Lock()
				w.acked[id] = ack.Position
				w.mu.Unlock()
				break
			}
			if !errors.Is(err, cluster.ErrUnavailable) {
				w.t.Errorf("publish: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// client follows one topic, from node to node.
type client struct {
	*world
	random *rand.Rand
	topic  string
	at     cluster.Position
}

// run visits nodes until all is calm and the client has the end of the topic.
func (c *client) run() {
	for {
		c.visit(c.nodes[c.random.IntN(len(c.nodes))])
		select {
		case <-c.calm:
			c.finish()
			return
		default:
		}
		time.Sleep(time.Duration(c.random.Int64N(int64(8 * time.Second))))
	}
}

// visit reads at a node for a while, slowly at times.
func (c *client) visit(n *cluster.Node) {
	wake := make(chan struct{}, 1)
	s, err := n.Subscribe(c.t.Context(), c.topic, c.at, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		c.t.Errorf("Subscribe: %v", err)
		return
	}
	defer s.Close()
	if c.at.IsZero() {
		c.at = s.Position()
	}
	leave := time.After(time.Duration(c.random.Int64N(int64(10 * time.Second))))
	slow := c.random.IntN(3) == 0
	for {
		batch, err := s.Next(c.t.Context(), cluster.Budget{Messages: 1 + c.random.IntN(6)})
		switch {
		case err != nil && !errors.Is(err, cluster.ErrUnavailable):
			c.t.Errorf("Next: %v", err)
			return
		case err != nil:
			time.Sleep(50 * time.Millisecond)
		default:
			c.take(batch)
			c.scroll(n)
		}
		if slow {
			time.Sleep(time.Second)
		}
		if batch.More || err != nil {
			select {
			case <-leave:
				return
			default:
			}
			continue
		}
		select {
		case <-wake:
		case <-leave:
			return
		}
	}
}

// take checks that every message is the one after that before it.
func (c *client) take(b cluster.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.Lost {
		c.lost++
		if !c.lossy {
			c.t.Errorf("position %v of %q is lost, and the store keeps everything", c.at, c.topic)
		}
		c.at = b.Position
	}
	for _, m := range b.Messages {
		before := c.store.Before(m.Position())
		if !slices.ContainsFunc(before, c.has) || m.Topic != c.topic {
			c.t.Errorf("%q: %v after %v; it was stored behind %v", c.topic, m.Position(), c.at, before)
		}
		c.at = m.Position()
	}
	c.arrived += len(b.Messages)
	if b.Position != c.at {
		c.t.Errorf("position %v behind a batch that ends at %v", b.Position, c.at)
	}
}

// scroll reads what is in front of the client's position at times, and checks that
// every message is the one before the next.
func (c *client) scroll(n *cluster.Node) {
	if c.random.IntN(10) > 0 {
		return
	}
	at := c.at
	if c.random.IntN(4) == 0 {
		at = cluster.Position{}
	}
	for range 1 + c.random.IntN(4) {
		page, err := n.Before(c.t.Context(), c.topic, at, cluster.Budget{Messages: 1 + c.random.IntN(8)})
		if errors.Is(err, cluster.ErrUnavailable) {
			return
		}
		if err != nil || page.Lost && (!c.lossy || len(page.Messages) > 0) {
			c.t.Errorf("in front of %v: %+v, %v", at, page, err)
			return
		}
		if page.Lost {
			return
		}
		c.precede(page, at)
		if at = page.Position; page.Begin {
			return
		}
	}
}

// precede checks a page that was read in front of a position.
func (c *client) precede(page cluster.Page, at cluster.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := at
	for _, m := range slices.Backward(page.Messages) {
		if !next.IsZero() && !slices.Contains(c.store.Before(next), m.Position()) || m.Topic != c.topic {
			c.t.Errorf("%q: %v in front of %v, behind which it was stored is %v", c.topic, m.Position(), next, c.store.Before(next))
		}
		next = m.Position()
	}
	c.scrolled += len(page.Messages)
	if page.Position != next && !at.IsZero() || len(page.Messages) == 0 && !page.Begin {
		c.t.Errorf("in front of %v: %+v", at, page)
	}
	if before := c.store.Before(next); page.Begin && !c.lossy && next.ID != "" && (len(before) != 1 || before[0].ID != "") {
		c.t.Errorf("%q begins at %v, and %v is in front", c.topic, next, before)
	}
}

// has reports whether the client has everything up to the end that a topic had.
func (c *client) has(end cluster.Position) bool {
	return end == c.at || c.at.ID == "" && end.Epoch == c.at.Epoch && end.Offset <= c.at.Offset
}

// finish reads until the client has the end of the topic, which takes one check
// at most.
func (c *client) finish() {
	for range 100 {
		c.visit(c.nodes[c.random.IntN(len(c.nodes))])
		head, err := c.store.Connect().Head(c.t.Context(), c.topic)
		if err != nil {
			c.t.Errorf("Head: %v", err)
			return
		}
		if head.Position == c.at || head.Position.ID == "" && c.at.Epoch == head.Position.Epoch {
			return
		}
		time.Sleep(time.Second)
	}
	c.t.Errorf("a client of %q stays at %v", c.topic, c.at)
}

// judge compares what was acknowledged with what is stored.
func (w *world) judge() {
	if w.arrived == 0 || w.scrolled == 0 {
		w.t.Errorf("%d messages arrived, %d when scrolling", w.arrived, w.scrolled)
	}
	if w.lossy {
		return
	}
	var stored []string
	for _, topic := range w.topics {
		page, err := w.store.Connect().Read(w.t.Context(), topic, 0, cluster.Budget{Messages: 1e6, Bytes: 1e9})
		if err != nil {
			w.t.Fatalf("Read: %v", err)
		}
		for _, m := range page {
			stored = append(stored, m.ID)
			if w.acked[m.ID] != m.Position() {
				w.t.Errorf("%s is stored at %v and was acknowledged at %v", m.ID, m.Position(), w.acked[m.ID])
			}
		}
	}
	slices.Sort(stored)
	if len(slices.Compact(stored)) != len(w.acked) {
		w.t.Errorf("%d messages stored, %d acknowledged", len(stored), len(w.acked))
	}
}
