package engine_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

const (
	fanWorkers = 8
	fanPeers   = 40 // every fourth reads slowly
	fanTopics  = 6
	never      = math.MaxInt64
)

// fanModel knows what every connection has to receive from what was called when.
type fanModel struct {
	t      *testing.T
	srv    *engine.Server
	addr   string
	clock  atomic.Int64 // ticks at each call and each return
	opens  sync.Mutex   // one connection opens at a time
	joined chan *engine.WebSocket

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

// fanSpan is a subscription, from the call and return of Subscribe to those of
// Unsubscribe.
type fanSpan struct {
	topic                            string
	subCall, subRet, endCall, endRet int64
}

// fanGot is one message as it was received.
type fanGot struct {
	direct         bool
	worker, number int
	topic          string
	keyed          bool
}

// fanPeer is a connection of the model, both sides.
type fanPeer struct {
	name   string
	ws     *engine.WebSocket // the server's side
	slow   bool
	policy engine.SlowPolicy
	steady bool // never unsubscribes

	drop func() // ends the client's side at once
	done <-chan struct{}
	gate chan bool // what is sent here stops or starts a slow reader

	mu    sync.Mutex
	got   []fanGot
	ends  int // times that "end" was received
	gaps  map[string]int
	spans []fanSpan

	closeCall atomic.Int64 // of Close or CloseNow
	ended     atomic.Int64 // OnClose
	dropped   atomic.Bool  // it was not closed in order: what was under way may be lost
}

func (p *fanPeer) receive(t *testing.T, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text == "end" {
		p.ends++
		return
	}
	var kind string
	var g fanGot
	if _, err := fmt.Sscan(text, &kind, &g.worker, &g.number, &g.topic); err != nil {
		t.Errorf("%s received %.40q: %v", p.name, text, err)
	}
	g.direct, g.keyed = kind == "S", kind == "K"
	if body := strings.SplitN(text, " ", 5)[4]; body[:len(body)/2] != body[len(body)/2:] {
		t.Errorf("%s received %.80q, whose halves differ", p.name, text)
	}
	p.got = append(p.got, g)
}

// connect fills a slot.
func (m *fanModel) connect(slot int) {
	m.opens.Lock()
	defer m.opens.Unlock()
	p := &fanPeer{slow: slot%4 == 3, gaps: make(map[string]int)}
	p.closeCall.Store(never)
	p.ended.Store(never)
	if p.slow {
		m.connectSlow(p, fanOffers[slot/4%len(fanOffers)])
	} else {
		client := dialEngine(m.t, m.addr, &engine.DialOptions{
			Compression: fanCompressions[slot%len(fanCompressions)],
			Callbacks: engine.Callbacks{
				OnText: func(_ *engine.WebSocket, text []byte) { p.receive(m.t, string(text)) },
			},
		})
		p.drop, p.done = client.CloseNow, client.Done()
	}
	p.ws = within(m.t, "OnUpgrade", m.joined)
	if p.slow {
		p.policy = []engine.SlowPolicy{engine.SlowDropNewest, engine.SlowDropOldest, engine.SlowConflate}[slot/4%3]
		p.steady = slot%8 == 3
		p.ws.SetSlow(engine.Slow{Policy: p.policy, Limit: 16 << 10})
	}
	p.ws.SetValue(p)
	m.mu.Lock()
	p.name = fmt.Sprintf("peer %d (slot %d, loop %d)", len(m.peers), slot, engine.LoopOf(p.ws))
	m.peers = append(m.peers, p)
	m.mu.Unlock()
	m.slots[slot].Store(p)
}

// fanCompressions are those of clients that read fast.
var fanCompressions = []*engine.Compression{
	nil, {}, {ServerMaxWindowBits: 9}, {ServerContextTakeover: true},
	{ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 9},
}

func (m *fanModel) connectSlow(p *fanPeer, offer string) {
	c := newDeflateClient(openNarrow(m.t, m.addr, offering(offer)))
	_ = c.SetDeadline(time.Time{}) // nothing may come for longer than patience
	c.br.Reset(c.Conn)
	done := make(chan struct{})
	p.drop, p.done, p.gate = func() { _ = c.Close() }, done, make(chan bool, 1)
	go func() {
		defer close(done)
		defer c.Close()
		for {
			select {
			case open := <-p.gate:
				for !open {
					open = <-p.gate
				}
			default:
			}
			h, payload, err := c.readMessage()
			switch {
			case errors.As(err, new(*engine.ProtocolError)):
				m.t.Errorf("%s cannot inflate: %v", p.name, err)
				return
			case err != nil:
				return
			case h.OpCode == codec.Close:
				_, _ = c.Write([]byte(masked(codec.Close, string(payload))))
				_, _, _ = c.readFrame() // the server ends first
				return
			}
			p.receive(m.t, string(payload))
		}
	}()
}

// open sets the gate of a slow reader to open or shut.
func (p *fanPeer) open(open bool) {
	for {
		select {
		case p.gate <- open:
			return
		case <-p.gate: // replaced
		case <-p.done:
			return
		}
	}
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
	case n < 88:
		m.unsubscribe(m.slots[own].Load(), topic)
	case n < 97:
		if p := m.slots[fanPeers/4*rng.IntN(4)|3].Load(); p.slow {
			p.open(rng.IntN(3) > 0)
		}
	case n < 99:
		m.close(m.slots[own].Load(), rng.IntN(3))
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
		pub.d, pub.err = m.srv.PublishKeyed(topic, fmt.Sprint(worker), engine.Text, text)
	case n < 25:
		pub.from = from
		pub.d, pub.err = from.ws.Publish(topic, engine.Text, text)
	default:
		pub.d, pub.err = m.srv.Publish(topic, engine.Text, text)
	}
	pub.ret = m.clock.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pubs = append(m.pubs, pub)
}

func (m *fanModel) subscribe(p *fanPeer, topic string) {
	p.mu.Lock()
	for _, s := range p.spans {
		if s.topic == topic && s.endRet == never {
			p.mu.Unlock()
			return
		}
	}
	p.mu.Unlock()
	span := fanSpan{topic: topic, subCall: m.clock.Add(1), endCall: never, endRet: never}
	err := p.ws.Subscribe(topic)
	span.subRet = m.clock.Add(1)
	if err != nil {
		m.t.Errorf("%s: Subscribe: %v", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spans = append(p.spans, span)
}

func (m *fanModel) unsubscribe(p *fanPeer, topic string) {
	if p.steady {
		return
	}
	call := m.clock.Add(1)
	if err := p.ws.Unsubscribe(topic); err != nil {
		m.t.Errorf("%s: Unsubscribe: %v", p.name, err)
	}
	ret := m.clock.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.spans {
		if s := &p.spans[i]; s.topic == topic && s.endRet == never {
			s.endCall, s.endRet = call, ret
		}
	}
}

// close ends a connection in one of three ways.
func (m *fanModel) close(p *fanPeer, how int) {
	p.closeCall.Store(m.clock.Add(1))
	switch how {
	case 0:
		if err := p.ws.Close(engine.StatusNormalClosure, ""); err != nil {
			m.t.Error(err)
		}
	case 1:
		p.dropped.Store(true)
		p.ws.CloseNow()
	case 2:
		p.dropped.Store(true)
		p.drop()
	}
	if p.slow {
		p.open(true)
	}
}

// settle lets every connection receive what is on its way.
func (m *fanModel) settle() {
	for _, p := range m.peers {
		if p.slow {
			p.open(true)
		}
		if p.closeCall.Load() != never {
			within(m.t, "the end of "+p.name, p.done)
			within(m.t, "the end of "+p.name, p.ws.Done())
		}
	}
	eventually(m.t, "nobody is slow", func() bool { _, _, _, slow := engine.HubLeft(m.srv); return slow == 0 })
	for i := range m.slots {
		p := m.slots[i].Load()
		if err := p.ws.SendText("end"); err != nil {
			m.t.Fatalf("%s: %v, %v", p.name, err, p.ws.Err())
		}
		eventually(m.t, "the last message", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.ends == 1
		})
	}
}

// Random operations of eight goroutines on two loops, every delivery checked.
func TestRandomFanOutKeepsToTheModel(t *testing.T) {
	operations := 1500
	if raceEnabled {
		operations = 500
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := 0
	for start := time.Now(); rounds == 0 || longTests && time.Since(start) < time.Minute; rounds++ {
		fanRound(t, seed+uint64(rounds), operations)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d rounds", rounds)
}

// work lets each worker do so many operations, and more of them until slow readers
// have put the model to the test: when they are slow is chance.
func (m *fanModel) work(seed uint64, operations int) {
	var rngs [fanWorkers]*rand.Rand
	for w := range rngs {
		rngs[w] = rand.New(rand.NewPCG(seed, uint64(w)))
	}
	tested := func() bool {
		st := m.srv.Stats()
		return st.Dropped > 0 && st.Conflated > 0
	}
	for from := 0; from == 0 || from < 20*operations && !tested(); from += operations {
		var working sync.WaitGroup
		for w, rng := range rngs {
			working.Go(func() {
				for number := from; number < from+operations; number++ {
					m.operate(w, number, rng)
				}
			})
		}
		working.Wait()
	}
}

func fanRound(t *testing.T, seed uint64, operations int) {
	m := &fanModel{t: t, joined: make(chan *engine.WebSocket, 1)}
	m.srv = &engine.Server{
		Loops:       2,
		Compression: &engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 64},
		Limits:      engine.Limits{CloseTimeout: time.Hour, WriteTimeout: -1, PingInterval: -1},
		OnUpgrade:   func(ws *engine.WebSocket, _ *handshake.Request) { m.joined <- ws },
		Callbacks: engine.Callbacks{
			OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
				p := ws.Value().(*fanPeer)
				p.mu.Lock()
				defer p.mu.Unlock()
				p.gaps[topic] += int(dropped)
			},
			OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
				if p, ok := ws.Value().(*fanPeer); ok {
					p.ended.Store(m.clock.Add(1))
				}
			},
		},
	}
	m.addr = listenWithSendBuffer(t, m.srv, 4096)
	for i := range m.slots {
		m.connect(i)
	}
	m.work(seed, operations)
	m.settle()
	m.check()
	st := m.srv.Stats()
	t.Logf("%d publishes, %d peers, %d delivered, %d dropped, %d conflated",
		len(m.pubs), len(m.peers), st.MessagesOut, st.Dropped, st.Conflated)
	if st.Dropped == 0 || st.Conflated == 0 {
		t.Error("nobody was slow: the model was not put to the test")
	}
	if err := m.srv.Close(); err != nil {
		t.Fatal(err)
	}
	if topics, parts, subs, slow := engine.HubLeft(m.srv); topics+parts+subs+slow != 0 {
		t.Errorf("left over: %d topics, %d parts, %d subscriptions, %d slow", topics, parts, subs, slow)
	}
}
