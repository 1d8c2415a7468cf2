package relay_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

const (
	modelNodes  = 3
	modelTopics = 4
	modelPeers  = 12
)

// Clients on three nodes subscribe, leave and publish, while the bus loses, repeats and
// reorders messages and nodes are cut off. Each message of each publisher comes to each
// subscriber once and in order, or OnGap was called after it was published and before
// the next one was sent.
func TestModel(t *testing.T) {
	seeds.Each(t, 3, func(t *testing.T, seed uint64) {
		m := newModel(t, seed, clustertest.Faults{Lose: 0.02, Repeat: 0.02, Delay: time.Duration(seed%3) * time.Millisecond})
		for range 1500 {
			m.step()
		}
		m.end()
	})
}

// model is the driver of a run.
type model struct {
	t      *testing.T
	random *rand.Rand
	store  *clustertest.Store
	conns  []*clustertest.Conn
	cut    [modelNodes]bool
	nodes  []*node
	peers  []*peer

	// numbers are of the last messages that each node has published in each topic, or is
	// publishing. OnGap reads them.
	numbers [modelNodes][modelTopics]atomic.Int64
}

func newModel(t *testing.T, seed uint64, faults clustertest.Faults) *model {
	t.Helper()
	m := &model{t: t, random: rand.New(rand.NewPCG(seed, 1)), store: clustertest.NewStore(clustertest.Options{Seed: seed, Faults: faults})}
	for i := range modelNodes {
		config := relay.Config{Linger: 5 * time.Millisecond, Tail: 30 * time.Millisecond / time.Duration(i+1)} // which may differ
		conn := m.store.Connect()
		m.conns = append(m.conns, conn)
		m.nodes = append(m.nodes, startNode(t, conn, config, func(s *engine.Server) { s.Callbacks.OnGap = m.onGap }))
	}
	for i := range modelPeers {
		p := &peer{t: t, name: fmt.Sprint("peer ", i), node: i % modelNodes}
		p.ws = m.nodes[p.node].dial(p.receive)
		m.peers = append(m.peers, p)
	}
	return m
}

// onGap sends the client what was published so far in the topic.
func (m *model) onGap(ws *engine.WebSocket, topic string, _ uint64) {
	_ = ws.SendText("gap " + topic + m.published(topic))
}

// published are the numbers of all nodes in a topic.
func (m *model) published(topic string) (text string) {
	for i := range m.numbers {
		text += fmt.Sprint(" ", m.numbers[i][topic[0]-'0'].Load())
	}
	return text
}

// step is one random operation.
func (m *model) step() {
	i, topic := m.random.IntN(modelNodes), m.random.IntN(modelTopics)
	p := m.peers[m.random.IntN(modelPeers)]
	switch n := m.random.IntN(1000); {
	case n < 700:
		m.publish(i, topic)
	case n < 800:
		p.subscribe(m, topic)
	case n < 850:
		p.unsubscribe(topic)
	case n < 900:
		_ = p.ws.SendText("direct")
	case n < 910 && !m.cut[i]:
		m.cut[i] = true
		m.conns[i].Cut()
	case n < 930 && m.cut[i]:
		m.cut[i] = false
		m.conns[i].Heal()
	case n < 980:
		time.Sleep(time.Duration(m.random.IntN(3000)) * time.Microsecond)
	}
}

// publish publishes the next message of a node in a topic. What the bus refuses is a gap
// elsewhere.
func (m *model) publish(i, topic int) {
	text := fmt.Sprint("msg ", topic, " ", i, " ", m.numbers[i][topic].Add(1))
	_, _ = m.nodes[i].Publish(fmt.Sprint(topic), engine.TextMessage(text))
}

// end heals everything, publishes one message more for each topic and node, and waits until
// every subscriber has them all.
func (m *model) end() {
	m.store.Calm()
	for i, conn := range m.conns {
		if m.cut[i] {
			conn.Heal()
		}
	}
	for i, n := range m.nodes {
		open := make(map[int]bool)
		for _, p := range m.peers {
			for topic := range p.topics {
				open[topic] = open[topic] || p.node == i && p.subscribed(topic)
			}
		}
		count := 0
		for _, is := range open {
			if is {
				count++
			}
		}
		until(m.t, "the node listens to what has subscribers", func() bool {
			s := n.Stats()
			return s.Topics == count && s.Quiet == 0
		})
	}
	for topic := range modelTopics {
		for i := range m.nodes {
			m.publish(i, topic)
		}
	}
	for _, p := range m.peers {
		until(m.t, p.name+" has the last of each", func() bool { return p.hasAll(m) })
	}
	for _, n := range m.nodes {
		n.Close()
	}
	for i, conn := range m.conns {
		if conn.Listened() != 0 {
			m.t.Errorf("node %d still listens to %d topics", i, conn.Listened())
		}
	}
}

// peer checks what one client gets.
type peer struct {
	t    *testing.T
	name string
	node int
	ws   *engine.WebSocket

	mu     sync.Mutex
	topics [modelTopics]struct {
		in   bool
		subs [][modelNodes]int64 // what was published before each subscription
		lost [modelNodes]int64   // OnGap was called when these were published
		last [modelNodes]int64
	}
}

// subscribe tells the client, before it subscribes, what it will not get.
func (p *peer) subscribe(m *model, topic int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.topics[topic]
	if s.in {
		return
	}
	var before [modelNodes]int64
	for i := range before {
		before[i] = m.numbers[i][topic].Load()
	}
	s.in, s.subs = true, append(s.subs, before)
	if err := p.ws.Subscribe(fmt.Sprint(topic)); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) unsubscribe(topic int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics[topic].in = false
	if err := p.ws.Unsubscribe(fmt.Sprint(topic)); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) subscribed(topic int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.topics[topic].in
}

// receive checks one message.
func (p *peer) receive(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind, rest, _ := strings.Cut(text, " ")
	var topic, node int
	var number int64
	switch kind {
	case "gap":
		var lost [modelNodes]int64
		_, _ = fmt.Sscan(rest, &topic, &lost[0], &lost[1], &lost[2])
		s := &p.topics[topic]
		for i := range lost {
			s.lost[i] = max(s.lost[i], lost[i])
		}
	case "msg":
		_, _ = fmt.Sscan(rest, &topic, &node, &number)
		s := &p.topics[topic]
		from := max(s.last[node], s.lost[node]) // the last one that may be missing or was there
		for _, before := range s.subs {
			if before[node] < number { // messages of an earlier subscription may have waited
				from = max(from, before[node])
			}
		}
		if n := len(s.subs); n > 0 && number <= s.subs[n-1][node] {
			from = max(from, number-1) // it was on its way when the client subscribed
		}
		if number <= s.last[node] || number > from+1 {
			p.t.Errorf("%s of node %d got message %d of node %d in topic %d: %+v", p.name, p.node, number, node, topic, s)
		}
		s.last[node] = number
	}
}

// hasAll says whether the last messages of all nodes came in all topics that p subscribes to.
func (p *peer) hasAll(m *model) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic := range p.topics {
		s := &p.topics[topic]
		for i := range m.numbers {
			if s.in && s.last[i] < m.numbers[i][topic].Load() {
				return false
			}
		}
	}
	return true
}

// C07 for plain topics: without faults nothing is missing and no OnGap is called, while
// all nodes publish at the same time.
func TestWithoutFaultsEverythingComesOnce(t *testing.T) {
	m := newModel(t, 1, clustertest.Faults{})
	for _, p := range m.peers {
		for topic := range modelTopics {
			p.subscribe(m, topic)
		}
	}
	for _, n := range m.nodes {
		listens(t, n, modelTopics)
	}
	var publishers sync.WaitGroup
	for i := range m.nodes {
		publishers.Go(func() {
			for k := range 2000 {
				m.publish(i, k%modelTopics)
			}
		})
	}
	publishers.Wait()
	for _, p := range m.peers {
		until(t, p.name+" has the last of each", func() bool { return p.hasAll(m) })
		p.mu.Lock()
		for topic, s := range p.topics {
			if s.lost != [modelNodes]int64{} {
				t.Errorf("%s: OnGap was called in topic %d: %+v", p.name, topic, s)
			}
		}
		p.mu.Unlock()
	}
	for i, n := range m.nodes {
		if s := n.Stats(); s.Sent != 2000 || s.Failed+s.Gaps+s.Holes+s.Repeated+s.Unreadable > 0 || s.Received != 2000*(modelNodes-1) {
			t.Errorf("node %d: %+v", i, s)
		}
	}
}
