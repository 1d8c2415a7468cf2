package live_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// crashVariable is how often TestNodesAreKilled kills a node.
const crashVariable = "FANLOOP_CRASHES"

// crash is one run of TestNodesAreKilled.
type crash struct {
	t     *testing.T
	nodes []*nodeProcess
	over  atomic.Bool // everything is published

	mu    sync.Mutex
	acked int // publishes that were acknowledged; guarded by mu
}

// Nodes of three are killed with SIGKILL, each with its NATS server, while clients
// publish and read (C01, C02): what was acknowledged is stored once, also where the
// client had to publish it again elsewhere (C08, C17); every client, which goes on at
// another node, gets every message once and in one order, and nobody's position is
// lost.
func TestNodesAreKilled(t *testing.T) {
	rounds := 3
	if text := os.Getenv(crashVariable); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s=%q: %v", crashVariable, text, err)
		}
	} else if testing.Short() {
		t.Skip("three servers")
	}
	seed := seeds.First(t)
	c := &crash{t: t, nodes: startNodes(t)}
	start := c.start()
	var publishers, readers sync.WaitGroup
	got := make([][]string, 6)
	for i := range got {
		readers.Go(func() { got[i] = c.read(rand.New(rand.NewPCG(seed, uint64(i))), start) })
	}
	for i := range 3 {
		publishers.Go(func() { c.publish(rand.New(rand.NewPCG(seed, 100+uint64(i))), i) })
	}
	random := rand.New(rand.NewPCG(seed, 1000))
	for round := range rounds {
		before := c.count()
		until(t, "publishes go on", func() bool { return c.count() > before+15 || t.Failed() })
		n := c.victim(random, round)
		n.kill()
		began := time.Now()
		if random.IntN(2) == 0 { // it stays away for some time
			before := c.count()
			until(t, "publishes go on without it", func() bool { return c.count() > before+5 || t.Failed() })
		}
		n.start()
		n.ready()
		t.Logf("round %d: node %d was away for %v", round, n.plan.Index, time.Since(began))
	}
	c.over.Store(true)
	publishers.Wait()
	c.publishOne(random, "the end")
	readers.Wait()
	c.judge(got)
}

// victim chooses who is killed: every fifth time the leader of the stream, which holds
// up publishes until another one is elected.
func (c *crash) victim(random *rand.Rand, round int) *nodeProcess {
	leader := c.leader()
	if round%5 == 1 {
		return c.nodes[leader]
	}
	return c.nodes[(leader+1+random.IntN(2))%3]
}

// leader returns the index of the node that leads the stream.
func (c *crash) leader() (leader int) {
	until(c.t, "the stream has a leader", func() bool {
		nc, err := nats.Connect("nats://" + strings.Join(c.nodes[0].plan.Clients, ",nats://"))
		if err != nil {
			return false
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return false
		}
		stream, err := js.Stream(c.t.Context(), "fanloop-0")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		leader = slices.IndexFunc(c.nodes, func(n *nodeProcess) bool {
			return stream.CachedInfo().Cluster.Leader == fmt.Sprint("node", n.plan.Index)
		})
		return leader >= 0
	})
	return leader
}

// start is the position of the topic while it is empty.
func (c *crash) start() cluster.Position {
	p, err := dial(c.nodes[0].plan.Listen)
	if err != nil {
		c.t.Fatal(err)
	}
	defer p.close()
	if err := p.ask(command{Topic: "room"}); err != nil {
		c.t.Fatal(err)
	}
	_ = p.nc.SetReadDeadline(time.Now().Add(patience))
	f, err := p.read()
	if err != nil || !f.First {
		c.t.Fatalf("%+v, %v", f, err)
	}
	return f.At
}

func (c *crash) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}

// judge compares what all readers got.
func (c *crash) judge(got [][]string) {
	first := got[0]
	for i, ids := range got {
		if !slices.Equal(ids, first) {
			c.t.Errorf("reader %d got %d messages, reader 0 %d: %v", i, len(ids), len(first), differences(ids, first))
		}
	}
	sorted := slices.Clone(first)
	slices.Sort(sorted)
	if n := len(slices.Compact(sorted)); n != len(first) || n != c.acked {
		c.t.Errorf("%d messages, %d different ones, %d acknowledged", len(first), n, c.acked)
	}
	c.t.Logf("%d messages, each at %d readers", len(first), len(got))
}

// differences says where two lists part.
func differences(a, b []string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("at %d: %v and %v", i, a[i:min(i+5, len(a))], b[i:min(i+5, len(b))])
}

// read follows the topic from a position on, from node to node, until its end.
func (c *crash) read(random *rand.Rand, at cluster.Position) (ids []string) {
	for !c.t.Failed() {
		p, err := dial(c.nodes[random.IntN(3)].plan.Listen)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		leave := random.IntN(300)
		if p.ask(command{Topic: "room", From: at}) == nil {
			for first := true; leave > 0; first = false {
				_ = p.nc.SetReadDeadline(time.Now().Add(patience))
				f, err := p.read()
				if err != nil {
					break
				}
				if f.First != first || f.Reset {
					c.t.Errorf("a reader at %v: %+v", at, f)
				}
				for _, m := range f.Messages {
					ids = append(ids, m.At.ID)
				}
				at = f.At
				if len(ids) > 0 && ids[len(ids)-1] == "the end" {
					p.close()
					return ids
				}
				leave -= len(f.Messages)
			}
		}
		p.close()
	}
	return ids
}

// publish publishes messages, one after the other.
func (c *crash) publish(random *rand.Rand, number int) {
	for i := 0; !c.over.Load() && !c.t.Failed(); i++ {
		c.publishOne(random, fmt.Sprintf("%d-%d", number, i))
		time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
	}
}

// publishOne asks node after node to publish an id until one has acknowledged it.
func (c *crash) publishOne(random *rand.Rand, id string) {
	for !c.t.Failed() {
		if c.try(c.nodes[random.IntN(3)].plan.Listen, id) {
			c.mu.Lock()
			c.acked++
			c.mu.Unlock()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *crash) try(addr, id string) bool {
	p, err := dial(addr)
	if err != nil {
		return false
	}
	defer p.close()
	text, err := json.Marshal(request{command{Topic: "room"}, id})
	if err != nil {
		c.t.Error(err)
	}
	if _, err := p.nc.Write(codec.AppendMaskedFrame(nil, codec.Text, true, text)); err != nil {
		return false
	}
	_ = p.nc.SetReadDeadline(time.Now().Add(10 * time.Second)) // then another node
	payload, err := p.readText()
	var answer acked
	if err == nil {
		err = json.Unmarshal(payload, &answer)
	}
	if answer.Error != "" && !strings.Contains(answer.Error, cluster.ErrUnavailable.Error()) {
		c.t.Errorf("publish of %s: %s", id, answer.Error)
	}
	return err == nil && answer.Acked == id && answer.Error == ""
}
