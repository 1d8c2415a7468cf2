package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

const (
	keptWorkers = 4 // each publishes with a key of its own
	keptTopics  = 3
	keptPeers   = 12
)

// keptPub is one publish of a worker to a topic; its number is its index.
type keptPub struct {
	kind      string // R: retained, C: removes what is retained, P: neither
	call, ret int64
}

// keptModel knows what was published when, and what each subscription received.
type keptModel struct {
	t     *testing.T
	srv   *engine.Server
	clock atomic.Int64

	mu   sync.Mutex
	pubs [keptTopics][keptWorkers][]keptPub
}

// keptSpan is one subscription, from the direct send before Subscribe to the one
// behind Unsubscribe.
type keptSpan struct {
	topic                            int
	subCall, subRet, endCall, endRet int64
	got                              [keptWorkers][]int // numbers in the order in which they came
}

// publish is one random publish of a worker.
func (m *keptModel) publish(worker int, rng *rand.Rand) {
	topic := rng.IntN(keptTopics)
	m.mu.Lock()
	number := len(m.pubs[topic][worker])
	m.mu.Unlock()
	p := keptPub{kind: []string{"R", "R", "P", "C"}[rng.IntN(4)]}
	text := fmt.Sprintf("%s %d %d %d %s", p.kind, topic, worker, number, strings.Repeat("x", rng.IntN(300)*rng.IntN(20)))
	msg := engine.Message{Op: engine.Text, Data: []byte(text), Key: fmt.Sprint(worker), Retain: p.kind != "P"}
	if p.kind == "C" {
		msg.Data = nil // the number is the next
	}
	p.call = m.clock.Add(1)
	_, err := m.srv.Publish(fmt.Sprint(topic), msg)
	p.ret = m.clock.Add(1)
	if err != nil {
		m.t.Error(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pubs[topic][worker] = append(m.pubs[topic][worker], p)
}

// subscribe is a subscription of some time.
func (m *keptModel) subscribe(ws *engine.WebSocket, rng *rand.Rand) *keptSpan {
	span := &keptSpan{topic: rng.IntN(keptTopics)}
	topic := fmt.Sprint(span.topic)
	err := ws.SendText("begin")
	span.subCall = m.clock.Add(1)
	for serr := engine.ErrBackpressure; errors.Is(serr, engine.ErrBackpressure); {
		serr = ws.Subscribe(topic)
		err = errors.Join(err, ignoreBackpressure(serr))
	}
	span.subRet = m.clock.Add(1)
	for until := span.subRet + rng.Int64N(200); m.clock.Load() < until; {
		time.Sleep(10 * time.Microsecond)
	}
	span.endCall = m.clock.Add(1)
	err = errors.Join(err, ws.Unsubscribe(topic))
	span.endRet = m.clock.Add(1)
	if err = errors.Join(err, ws.SendText("end")); err != nil {
		m.t.Error(err)
	}
	return span
}

func ignoreBackpressure(err error) error {
	if errors.Is(err, engine.ErrBackpressure) {
		return nil
	}
	return err
}

// check compares what came of each worker with what it published.
func (m *keptModel) check(name string, s *keptSpan) {
	for w, got := range s.got {
		pubs := m.pubs[s.topic][w]
		m.checkRun(fmt.Sprintf("%s, topic %d, worker %d", name, s.topic, w), s, pubs, got)
	}
}

// kept is the number of what is retained before pubs[n]; -1: nothing is.
func kept(pubs []keptPub, n int) int {
	for n--; n >= 0; n-- {
		switch pubs[n].kind {
		case "R":
			return n
		case "C":
			return -1
		}
	}
	return -1
}

// checkRun: some from is the first publish behind the subscription. Got is what was
// retained before it, if anything was, and then everything from there on.
func (m *keptModel) checkRun(name string, s *keptSpan, pubs []keptPub, got []int) {
	earliest, latest := 0, len(pubs) // where from may be
	for i, p := range pubs {
		if p.ret < s.subCall {
			earliest = i + 1
		}
		if p.call > s.subRet && i < latest {
			latest = i
		}
	}
	for from := earliest; from <= latest; from++ {
		if m.fits(s, pubs, got, from) {
			return
		}
	}
	m.t.Errorf("%s: received %v; retained before the subscription: %d to %d of %d publishes", name, got, earliest, latest, len(pubs))
}

func (m *keptModel) fits(s *keptSpan, pubs []keptPub, got []int, from int) bool {
	if k := kept(pubs, from); k >= 0 {
		if len(got) == 0 || got[0] != k {
			return false
		}
		got = got[1:]
	}
	next := from
	for _, n := range got {
		for next < len(pubs) && pubs[next].kind == "C" { // it says not which it is
			next++
		}
		if n != next {
			return false
		}
		next++
	}
	for i, p := range pubs {
		if i >= from && i >= next && p.kind != "C" && p.ret < s.endCall { // published meanwhile, and missing
			return false
		}
		if i < next && i >= from && p.kind != "C" && p.call > s.endRet {
			return false
		}
	}
	return true
}

// keptPeer is a client that sorts what it receives by its subscriptions.
type keptPeer struct {
	name  string
	ws    *engine.WebSocket
	spans []*keptSpan
	read  chan string
}

// collect fills spans with what was received.
func (p *keptPeer) collect(t *testing.T) {
	for i := 0; i < len(p.spans); {
		text := within(t, "a message of "+p.name, p.read)
		switch text {
		case "begin", "": // or a value was removed
		case "end":
			i++
		default:
			var kind string
			var topic, worker, number int
			if _, err := fmt.Sscan(text, &kind, &topic, &worker, &number); err != nil || topic != p.spans[i].topic {
				t.Errorf("%s received %.60q for topic %d: %v", p.name, text, p.spans[i].topic, err)
				return
			}
			p.spans[i].got[worker] = append(p.spans[i].got[worker], number)
		}
	}
}

// connect opens a client that reads all the time, or one whose socket takes little.
func (m *keptModel) connect(r *room, i int) *keptPeer {
	p := &keptPeer{name: fmt.Sprint("peer ", i), read: make(chan string, 1<<20)}
	var c *deflateClient
	var raw *rawClient
	if i%3 == 0 {
		raw, p.ws = r.joinNarrow(offering(fanOffers[i%len(fanOffers)]))
	} else {
		raw, p.ws = r.join(offering(fanOffers[i%len(fanOffers)]))
	}
	c = newDeflateClient(raw)
	if err := p.ws.Unsubscribe("room"); err != nil {
		m.t.Error(err)
	}
	go func() {
		for {
			_, payload, err := c.readMessage()
			if err != nil {
				return
			}
			p.read <- string(payload)
			if i%3 == 0 && len(p.read)%16 == 0 {
				time.Sleep(100 * time.Microsecond) // slow now and then
			}
		}
	}()
	return p
}

// Goroutines publish with Retain and without, and subscribe, at random: every
// subscription gets exactly what was retained when it began, and then everything
// that was published later, in order. On two loops, with flushes that are cut,
// compression and slow readers.
func TestRandomRetainedMessagesKeepToTheModel(t *testing.T) {
	spans, seed := 60, seeds.First(t)
	if raceEnabled {
		spans = 20
	}
	for round := range 2 {
		m := &keptModel{t: t}
		m.srv = &engine.Server{
			Loops:       2,
			Slow:        engine.Slow{Policy: engine.SlowDropNewest, Limit: engine.NoLimit},
			Compression: &engine.Compression{ServerContextTakeover: true, Threshold: 64},
			Limits:      engine.Limits{WriteTimeout: engine.NoLimit, PingInterval: engine.NoLimit, MaxQueued: 64 << 20},
		}
		if round == 1 {
			engine.CutFlushes(m.srv, 1)
		}
		r := openRoom(t, m.srv)
		r.addr = listenWithSendBuffer(t, m.srv, 4096)
		var peers []*keptPeer
		for i := range keptPeers {
			peers = append(peers, m.connect(r, i))
		}
		var subscribing, publishing sync.WaitGroup
		var over atomic.Bool
		for w := range keptWorkers {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			publishing.Go(func() {
				for !over.Load() {
					m.publish(w, rng)
					time.Sleep(time.Duration(rng.IntN(100)) * time.Microsecond)
				}
			})
		}
		for i, p := range peers {
			rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
			subscribing.Go(func() {
				for range spans {
					p.spans = append(p.spans, m.subscribe(p.ws, rng))
				}
			})
		}
		subscribing.Wait()
		over.Store(true)
		publishing.Wait()
		total := 0
		for _, p := range peers {
			p.collect(t)
			for _, s := range p.spans {
				m.check(p.name, s)
				for _, got := range s.got {
					total += len(got)
				}
			}
		}
		t.Logf("%d messages were received by %d subscriptions", total, keptPeers*spans)
		if t.Failed() {
			return
		}
	}
}
