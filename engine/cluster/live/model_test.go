package live_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// world is one run of the model: nodes that end and begin, publishers, clients over
// WebSockets that come, go, resume and read slowly, and a broker with faults.
type world struct {
	t         *testing.T
	store     *clustertest.Store
	seed      uint64
	lossy     bool // the store may lose messages, so positions may be lost
	batched   bool // messages wait for more, as if sends were dear
	calm      atomic.Bool
	published atomic.Int64

	mu    sync.RWMutex
	sites []*site // replaced while the model runs

	arrived, pages, resets, fallen atomic.Int64
}

// Every client gets every message behind its position once and in order, or a reset:
// each message is the one that the store appended behind the client's last. Where the
// store loses nothing there is no reset. All ends at the end of the topic (C10).
func TestModel(t *testing.T) {
	for _, kind := range []struct {
		name           string
		keep           int
		lossy, batched bool
	}{{"keeps everything", 0, false, false}, {"batched", 0, false, true}, {"keeps few", 60, true, true}, {"loses its store", 0, true, true}} {
		t.Run(kind.name, func(t *testing.T) {
			seeds.Each(t, 1, func(t *testing.T, seed uint64) {
				w := &world{t: t, seed: seed, lossy: kind.lossy, batched: kind.batched, store: clustertest.NewStore(clustertest.Options{
					Seed:        seed,
					MaxPerTopic: kind.keep,
					Faults: clustertest.Faults{
						Lose: 0.05, Repeat: 0.1, LoseAck: 0.05, Fail: 0.02, Lag: 0.1, Delay: 3 * time.Millisecond,
					},
				})}
				w.run(strings.HasPrefix(kind.name, "loses"))
			})
		})
	}
}

var modelTopics = []string{"a", "b", "quiet"}

func (w *world) open() *site {
	var batching *engine.Batching
	if w.batched {
		batching = &engine.Batching{Prefixes: []string{""}, MaxDelay: 30 * time.Millisecond, SendCost: time.Millisecond}
	}
	return openSite(w.t, w.store.Connect(), options{
		cluster: cluster.Config{
			Ring: cluster.Budget{Messages: 20}, Page: cluster.Budget{Messages: 15},
			CheckEvery: 300 * time.Millisecond, Linger: 50 * time.Millisecond, Requests: 4,
		},
		live:       live.Config{Page: cluster.Budget{Messages: 6, Bytes: 4 << 10}, Within: time.Hour, Workers: 2},
		limits:     engine.Limits{HighWater: 6 << 10, MaxQueued: 24 << 10, WriteTimeout: -1, PingInterval: -1},
		sendBuffer: 4096,
		batching:   batching,
	})
}

func (w *world) run(wipes bool) {
	for range 3 {
		w.sites = append(w.sites, w.open())
	}
	var trouble, publishers, clients sync.WaitGroup
	stop := make(chan struct{})
	trouble.Go(func() { w.trouble(rand.New(rand.NewPCG(w.seed, 2)), wipes, stop) })
	for i := range uint64(3) {
		publishers.Go(func() { w.publisher(rand.New(rand.NewPCG(w.seed, 10+i)), i) })
	}
	for i := range uint64(16) {
		clients.Go(func() {
			c := &client{world: w, conn: w.store.Connect(), random: rand.New(rand.NewPCG(w.seed, 100+i)), at: make(map[string]cluster.Position)}
			c.run(i)
		})
	}
	publishers.Wait()
	close(stop)
	trouble.Wait()
	w.calm.Store(true)
	clients.Wait()
	for _, s := range w.sites {
		until(w.t, "nothing is left", func() bool { st := s.topics.Stats(); return st.Topics+st.Live+st.CatchingUp == 0 })
		w.end(s)
	}
	w.t.Logf("seed %d: %d messages, %d pages, %d resets, %d fell behind", w.seed, w.arrived.Load(), w.pages.Load(), w.resets.Load(), w.fallen.Load())
	if w.arrived.Load() == 0 || w.fallen.Load() == 0 {
		w.t.Error("nothing happened")
	}
}

// end closes a site, and counts what it did.
func (w *world) end(s *site) {
	st := s.topics.Stats()
	w.fallen.Add(int64(st.Slow))
	if st.Lagging > 0 || st.Resets > 0 && !w.lossy {
		w.t.Errorf("%+v", st)
	}
	s.close()
}

// trouble cuts connections, restarts the store and replaces nodes, then heals all.
func (w *world) trouble(random *rand.Rand, wipes bool, stop <-chan struct{}) {
	old := w.store.Snapshot()
	for {
		select {
		case <-stop:
			w.store.Calm()
			return
		case <-time.After(time.Duration(random.Int64N(int64(200 * time.Millisecond)))):
		}
		w.mu.RLock()
		i := random.IntN(len(w.sites))
		s := w.sites[i]
		w.mu.RUnlock()
		pause := time.Duration(random.Int64N(int64(50 * time.Millisecond)))
		switch random.IntN(5) {
		case 0, 1:
			s.conn.Cut()
			time.Sleep(pause)
			s.conn.Heal()
		case 2:
			w.mu.Lock()
			w.sites[i] = w.open()
			w.mu.Unlock()
			w.end(s)
		case 3:
			old = w.store.Snapshot()
		case 4:
			w.store.Stop()
			time.Sleep(pause)
			if wipes && random.IntN(2) == 0 {
				w.store.Wipe()
				old = w.store.Snapshot()
			} else if wipes {
				w.store.Restore(old)
			}
			w.store.Start()
		}
	}
}

// publisher publishes each message until it is acknowledged.
func (w *world) publisher(random *rand.Rand, number uint64) {
	conn := w.store.Connect()
	for i := range 300 {
		topic := modelTopics[random.IntN(2)]
		if random.IntN(40) == 0 {
			topic = "quiet"
		}
		id := fmt.Sprintf("%d-%d", number, i)
		data := strings.Repeat("x", random.IntN(10)*random.IntN(300))
		for {
			_, err := conn.Publish(w.t.Context(), topic, id, []byte(data))
			if err == nil {
				break
			}
			if !errors.Is(err, cluster.ErrUnavailable) {
				w.t.Errorf("publish: %v", err)
			}
			time.Sleep(time.Millisecond)
		}
		w.published.Add(1)
		time.Sleep(time.Duration(random.Int64N(int64(5 * time.Millisecond))))
	}
}

// client follows some topics, from node to node.
type client struct {
	*world
	conn   *clustertest.Conn
	random *rand.Rand
	topics []string
	at     map[string]cluster.Position
}

func (c *client) run(number uint64) {
	c.topics = modelTopics[number%3:]
	for !c.calm.Load() {
		c.visit(false)
		time.Sleep(time.Duration(c.random.Int64N(int64(100 * time.Millisecond))))
	}
	c.visit(true)
}

// visit connects to a node and reads for a while, slowly at times; finish: until the
// client has the end of its topics.
func (c *client) visit(finish bool) {
	c.mu.RLock()
	s := c.sites[c.random.IntN(len(c.sites))]
	c.mu.RUnlock()
	p, err := dial(s.addr)
	if err != nil {
		if finish {
			c.t.Errorf("dial: %v", err)
		}
		return // it has just ended
	}
	defer p.close()
	answered := make(map[string]bool)
	for _, topic := range c.topics {
		if p.ask(command{Topic: topic, From: c.at[topic]}) != nil {
			return
		}
	}
	slow := !finish && c.random.IntN(2) == 0
	left := ""
	for n := c.random.IntN(400); finish || n > 0; n-- {
		if finish && c.ended() {
			return
		}
		limit := time.Now().Add(patience)
		if !finish {
			limit = time.Now().Add(time.Duration(c.random.Int64N(int64(300 * time.Millisecond))))
		}
		_ = p.nc.SetReadDeadline(limit)
		f, err := p.read()
		if err != nil {
			if finish {
				c.t.Errorf("at %v: %v", c.at, err)
			}
			return
		}
		if f.Topic == "left" { // what was on its way has come
			answered[left] = false
			if p.ask(command{Topic: left, From: c.at[left]}) != nil {
				return
			}
			left = ""
			continue
		}
		c.take(f, answered)
		if slow && c.random.IntN(20) == 0 { // reads nothing until others are ahead
			until := c.published.Load() + c.random.Int64N(60)
			for c.published.Load() < until && !c.calm.Load() {
				time.Sleep(time.Millisecond)
			}
		}
		if left == "" && !finish && answered[f.Topic] && c.random.IntN(60) == 0 {
			left = f.Topic
			if p.ask(command{Topic: left, Leave: true}) != nil {
				return
			}
		}
	}
}

// take checks that every message is the one behind that before it.
func (c *client) take(f frame, answered map[string]bool) {
	if !answered[f.Topic] != f.First {
		c.t.Errorf("answered %v, then %+v", answered[f.Topic], f)
	}
	answered[f.Topic] = true
	at := c.at[f.Topic]
	if f.First && at.IsZero() {
		at = f.At
	}
	if f.Reset {
		c.resets.Add(1)
		if !c.lossy {
			c.t.Errorf("a reset of %q at %v, and the store keeps everything", f.Topic, at)
		}
		at = f.At
	}
	if !f.Live {
		c.pages.Add(1)
	}
	for _, m := range f.Messages {
		before := c.store.Before(m.At)
		if !slices.ContainsFunc(before, func(end cluster.Position) bool {
			return end == at || at.ID == "" && end.Epoch == at.Epoch && end.Offset <= at.Offset
		}) {
			c.t.Errorf("%q: %v after %v; it was stored behind %v (live %v)", f.Topic, m.At, at, before, f.Live)
		}
		at = m.At
		c.arrived.Add(1)
	}
	if f.At != at {
		c.t.Errorf("%q: a frame at %v ends at %v", f.Topic, f.At, at)
	}
	c.at[f.Topic] = at
}

// ended reports whether the client has the end of its topics.
func (c *client) ended() bool {
	for _, topic := range c.topics {
		head, err := c.conn.Head(c.t.Context(), topic)
		at := c.at[topic]
		if err != nil || head.Position != at && (head.Position.ID != "" || at.Epoch != head.Position.Epoch) {
			return false
		}
	}
	return true
}
