package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

const (
	fanWorkers = 8
	fanPeers   = 40 // every other fourth reads slowly
	fanTopics  = 6
	never      = math.MaxInt64
)

// fanModel knows what every connection has to receive from what was called when.
type fanModel struct {
	t      *testing.T
	srv    *engine.Server
	addr   string
	clock  atomic.Int64 // ticks at each call and each return
	opens  sync.Mutex   // one connection opens at a time, and none after Shutdown
	joined chan *engine.WebSocket
	down   atomic.Bool // Shutdown was called

	slots [fanPeers]atomic.Pointer[fanPeer]

	mu    sync.Mutex
	peers []*fanPeer // those of the slots, and those they followed
	pubs  []fanPub
	sends []fanSend
}

// fanPub is one publish. Its number is that of its worker's operation.
type fanPub struct {
	worker, number int
	topic          string
	keyed          bool
	from           *fanPeer
	call, ret      int64
	d              engine.Delivery
	err            error
}

type fanSend struct {
	worker, number int
	to             *fanPeer
	err            error
}

// fanCompressions are those of clients that read fast.
var fanCompressions = []*engine.Compression{
	nil, {}, {ServerMaxWindowBits: 9}, {ServerContextTakeover: true},
	{ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 9},
}

// fanPolicies are those of clients that read slowly.
var fanPolicies = []engine.SlowPolicy{engine.SlowDropNewest, engine.SlowDropOldest, engine.SlowConflate, engine.SlowClose}

// connect fills a slot.
func (m *fanModel) connect(slot int) {
	m.opens.Lock()
	defer m.opens.Unlock()
	if m.down.Load() {
		return
	}
	p := newFanPeer(slot%4 == 3)
	if p.slow {
		p.dialSlow(m.t, m.addr, fanOffers[slot/4%len(fanOffers)])
	} else {
		p.dialFast(m.t, m.addr, fanCompressions[slot%len(fanCompressions)])
	}
	p.ws = within(m.t, "OnUpgrade", m.joined)
	if p.slow {
		p.policy = fanPolicies[slot/4%len(fanPolicies)]
		if err := p.ws.SetSlow(engine.Slow{Policy: p.policy, Limit: 16 << 10}); err != nil {
			m.t.Error(err)
		}
	}
	engine.Set(p.ws, p)
	m.mu.Lock()
	p.name = fmt.Sprintf("peer %d (slot %d, loop %d, policy %d)", len(m.peers), slot, engine.LoopOf(p.ws), p.policy)
	m.peers = append(m.peers, p)
	m.mu.Unlock()
	m.slots[slot].Store(p)
}

// operate is one random operation of a worker, which alone subscribes,
// unsubscribes and closes the connections of its slots.
func (m *fanModel) operate(worker, number int, rng *rand.Rand) {
	own := worker + fanWorkers*rng.IntN(fanPeers/fanWorkers)
	anyone := m.slots[rng.IntN(fanPeers)].Load()
	topic := fmt.Sprint("t", rng.IntN(fanTopics))
	switch n := rng.IntN(100); {
	case n < 50:
		m.publish(worker, number, topic, n, anyone, rng)
	case n < 65:
		err := anyone.ws.SendText(fmt.Sprintf("S %d %d - %s", worker, number, strings.Repeat(".", 2*rng.IntN(100))))
		m.mu.Lock()
		m.sends = append(m.sends, fanSend{worker, number, anyone, err})
		m.mu.Unlock()
	case n < 80:
		m.subscribe(m.slots[own].Load(), topic)
	case n < 87:
		m.unsubscribe(m.slots[own].Load(), topic)
	case n < 96:
		p := m.slots[fanPeers/4*rng.IntN(4)|3].Load()
		p.open(rng.IntN(3) > 0)
		if m.down.Load() {
			p.open(true)
		}
	case n < 97:
		m.srv.Topic(topic).FlushEvery(time.Duration(rng.IntN(2)) * time.Millisecond)
	case n < 99:
		m.close(m.slots[own].Load(), rng.IntN(4))
		m.connect(own)
	}
}

func (m *fanModel) publish(worker, number int, topic string, n int, from *fanPeer, rng *rand.Rand) {
	size := rng.IntN(200)
	if rng.IntN(20) == 0 {
		size = rng.IntN(12_000)
	}
	kind := "P"
	if n < 12 {
		kind = "K"
	}
	text := fmt.Appendf(nil, "%s %d %d %s %s", kind, worker, number, topic, strings.Repeat(hexNoise(size/2), 2))
	pub := fanPub{worker: worker, number: number, topic: topic, keyed: n < 12, call: m.clock.Add(1)}
	switch {
	case pub.keyed:
		pub.d, pub.err = m.srv.Publish(topic, engine.Message{Op: engine.Text, Data: text, Key: fmt.Sprint(worker)})
	case n < 25:
		pub.from = from
		pub.d, pub.err = from.ws.Publish(topic, engine.TextMessage(text))
	default:
		pub.d, pub.err = m.srv.Publish(topic, engine.TextMessage(text))
	}
	pub.ret = m.clock.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pubs = append(m.pubs, pub)
}

func (m *fanModel) subscribe(p *fanPeer, topic string) {
	if p.subscribed(topic) {
		return
	}
	span := fanSpan{topic: topic, subCall: m.clock.Add(1), endCall: never, endRet: never}
	err := p.ws.Subscribe(topic)
	span.subRet = m.clock.Add(1)
	switch {
	case err == nil:
		p.begin(span)
	case !errors.Is(err, engine.ErrClosed):
		m.t.Errorf("%s: Subscribe: %v", p.name, err)
	case !m.down.Load(): // the server ended it
		p.cut.Store(true)
	}
}

func (m *fanModel) unsubscribe(p *fanPeer, topic string) {
	call := m.clock.Add(1)
	if err := p.ws.Unsubscribe(topic); err != nil {
		m.t.Errorf("%s: Unsubscribe: %v", p.name, err)
	}
	p.end(topic, call, m.clock.Add(1))
}

// close ends a connection in one of four ways.
func (m *fanModel) close(p *fanPeer, how int) {
	p.closeCall.Store(m.clock.Add(1))
	switch how {
	case 0:
		if err := p.ws.Close(engine.StatusNormalClosure, ""); err != nil {
			m.t.Error(err)
		}
	case 1:
		p.leave()
	case 2:
		p.dropped.Store(true)
		p.ws.CloseNow()
	case 3:
		p.dropped.Store(true)
		p.drop()
	}
	p.open(true)
}

// shutdown ends the server in order while the workers go on.
func (m *fanModel) shutdown() {
	m.opens.Lock()
	m.down.Store(true)
	m.opens.Unlock()
	m.mu.Lock()
	peers := slices.Clone(m.peers)
	m.mu.Unlock()
	for _, p := range peers {
		p.closeCall.CompareAndSwap(never, m.clock.Add(1))
		p.open(true)
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if err := m.srv.Shutdown(ctx); err != nil {
		m.t.Error(err)
	}
}

// settle lets every connection receive what is on its way.
func (m *fanModel) settle() {
	for _, p := range m.peers {
		p.open(true)
		if p.closeCall.Load() != never || m.down.Load() {
			within(m.t, "the end of "+p.name, p.done)
			within(m.t, "the end of "+p.name, p.ws.Done())
		}
	}
	if m.down.Load() {
		return
	}
	eventually(m.t, "nobody is slow", func() bool { _, _, _, slow := engine.HubLeft(m.srv); return slow == 0 })
	for i := range m.slots {
		p := m.slots[i].Load()
		if err := p.ws.SendText("end"); err != nil {
			within(m.t, "the end of "+p.name, p.ws.Done())
			if !p.cut.Load() {
				m.t.Errorf("%s: %v, %v", p.name, err, p.ws.Err())
			}
			continue
		}
		eventually(m.t, "the last message of "+p.name, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.ends == 1
		})
	}
}

// Random operations of eight goroutines on two loops, every delivery checked: with
// timers on, flushes that are cut, connections closed from both sides, and
// Shutdown in the middle.
func TestRandomFanOutKeepsToTheModel(t *testing.T) {
	needs(t, fullSockets)
	operations := 1500
	if raceEnabled {
		operations = 500
	}
	seed := seeds.First(t)
	rounds := 0
	for start := time.Now(); rounds < 4 || longTests && time.Since(start) < time.Minute; rounds++ {
		fanRound(t, seed+uint64(rounds), operations, fanWeathers[rounds%len(fanWeathers)])
		if t.Failed() {
			return
		}
	}
	t.Logf("%d rounds", rounds)
}

// fanWeather is what a round is like.
type fanWeather struct {
	cut      bool // flushes go on in the next iteration again and again
	down     bool // Shutdown ends it in the middle
	timeouts bool // those that do not read are dropped by WriteTimeout, if they stall for long
	narrow   bool // publishes are refused while a loop is behind
	batched  bool // topics wait for more, as if sends were dear
}

var fanWeathers = []fanWeather{
	{}, {cut: true, timeouts: true, narrow: true, batched: true}, {down: true, timeouts: true, batched: true}, {cut: true, down: true, narrow: true},
}

// work lets each worker do so many operations, and more of them until slow readers
// have put the model to the test: when they are slow is chance.
func (m *fanModel) work(seed uint64, operations int, down bool) {
	var rngs [fanWorkers]*rand.Rand
	for w := range rngs {
		rngs[w] = rand.New(rand.NewPCG(seed, uint64(w)))
	}
	tested := func() bool {
		st := m.srv.Stats()
		return st.Dropped > 0 && st.Conflated > 0
	}
	from := 0
	for began := time.Now(); from == 0 || !tested() && time.Since(began) < patience; from += operations {
		m.workers(from, from+operations, &rngs, func() {})
	}
	if down {
		m.workers(from, from+operations, &rngs, m.shutdown)
	}
}

// workers lets each worker do the operations with these numbers, and half of the
// way calls fn beside them.
func (m *fanModel) workers(from, to int, rngs *[fanWorkers]*rand.Rand, fn func()) {
	var working sync.WaitGroup
	for w, rng := range rngs {
		working.Go(func() {
			for number := from; number < to && !m.down.Load(); number++ {
				if w == 0 && number == (from+to)/2 {
					working.Go(fn)
				}
				m.operate(w, number, rng)
			}
		})
	}
	working.Wait()
}

func fanRound(t *testing.T, seed uint64, operations int, weather fanWeather) {
	m := &fanModel{t: t, joined: make(chan *engine.WebSocket, 1)}
	limits := engine.Limits{CloseTimeout: time.Hour, WriteTimeout: engine.NoLimit, PingInterval: 10 * time.Millisecond, PongTimeout: patience}
	if weather.timeouts {
		limits.WriteTimeout = 50 * time.Millisecond
	}
	slow := engine.Slow{Policy: engine.SlowDropNewest}
	if weather.narrow {
		slow.Limit = 40 << 10
	}
	m.srv = &engine.Server{
		Loops:       2,
		Slow:        slow,
		Compression: &engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 64},
		Limits:      limits,
		OnUpgrade:   func(ws *engine.WebSocket, _ *engine.Request) { m.joined <- ws },
		Callbacks: engine.Callbacks{
			OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
				engine.Get[*fanPeer](ws).onGap(ws, topic, dropped)
			},
			OnError: func(ws *engine.WebSocket, err error) {
				if p := engine.Get[*fanPeer](ws); p != nil && (errors.Is(err, engine.ErrSlow) || errors.Is(err, engine.ErrWriteTimeout)) {
					p.cut.Store(true)
				}
			},
			OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
				if p := engine.Get[*fanPeer](ws); p != nil {
					p.ended.Store(m.clock.Add(1))
				}
			},
		},
	}
	if weather.cut {
		engine.CutFlushes(m.srv, 1)
	}
	if weather.batched { // t0 and t1 together, and each of the others alone
		m.srv.Batching = &engine.Batching{Prefixes: []string{"t", "t0", "t1"}, MaxDelay: 20 * time.Millisecond, SendCost: 200 * time.Microsecond}
	}
	m.addr = listenWithSendBuffer(t, m.srv, 4096)
	for i := range m.slots {
		m.connect(i)
	}
	m.work(seed, operations, weather.down)
	m.settle()
	m.check()
	eventually(t, "nothing is held", func() bool { return heldBy(m.srv) == 0 })
	st := m.srv.Stats()
	t.Logf("%+v: %d publishes, %d peers, %d delivered, %d dropped, %d conflated, %d closed",
		weather, len(m.pubs), len(m.peers), st.MessagesOut, st.Dropped, st.Conflated, st.Ended[engine.CauseSlow])
	if st.Dropped == 0 || st.Conflated == 0 {
		t.Error("nobody was slow: the model was not put to the test")
	}
	if err := m.srv.Close(); err != nil && !weather.down {
		t.Fatal(err)
	}
	if topics, parts, subs, slow := engine.HubLeft(m.srv); parts+subs+slow != 0 || topics > fanTopics {
		t.Errorf("left over: %d topics, %d parts, %d subscriptions, %d slow", topics, parts, subs, slow)
	}
}
