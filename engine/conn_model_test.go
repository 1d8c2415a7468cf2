package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
	"github.com/fanloop-go/fanloop/loop"
)

const (
	modelWorkers = 8
	modelSlots   = 6                // connections that are worked on at the same time
	onLoop       = modelWorkers     // the sender that is the owning loop, by Do
	senders      = modelWorkers + 1 // of each side
	modelLargest = 200 << 10
)

// model is a run of random operations on both sides of many connections, and
// what has to come of them.
type model struct {
	t     *testing.T
	addr  string
	group *loop.Group
	slots [modelSlots]atomic.Pointer[pair]

	mu    sync.Mutex
	pairs []*pair
}

// pair is a connection: its two sides.
type pair struct{ server, client *side }

// callbacks of either side; of is whose they are.
func modelCallbacks(of func(*engine.WebSocket) *side) engine.Callbacks {
	return engine.Callbacks{
		OnText:   func(ws *engine.WebSocket, text []byte) { of(ws).receive(engine.Text, text) },
		OnBinary: func(ws *engine.WebSocket, data []byte) { of(ws).receive(engine.Binary, data) },
		OnPing:   func(ws *engine.WebSocket, _ []byte) { of(ws).notEnded("OnPing") },
		OnPong:   func(ws *engine.WebSocket, _ []byte) { of(ws).notEnded("OnPong") },
		OnDrain:  func(ws *engine.WebSocket) { of(ws).notEnded("OnDrain") },
		OnError:  func(ws *engine.WebSocket, _ error) { of(ws).notEnded("OnError") },
		OnClose: func(ws *engine.WebSocket, code engine.StatusCode, _ string) {
			s := of(ws)
			s.notEnded("OnClose")
			s.ended++
			s.endCode = code
		},
	}
}

// connect opens one more connection and makes it the one of a slot.
func (m *model) connect(ctx context.Context, slot int) {
	p := new(pair)
	m.mu.Lock()
	id := len(m.pairs)
	p.server = &side{m: m, name: fmt.Sprintf("%d down", id), open: make(chan struct{})}
	p.client = &side{m: m, name: fmt.Sprintf("%d up", id), open: make(chan struct{}), peer: p.server}
	p.server.peer = p.client
	m.pairs = append(m.pairs, p)
	m.mu.Unlock()
	opt := &engine.DialOptions{
		Group:     m.group,
		Limits:    modelLimits,
		Callbacks: modelCallbacks(func(*engine.WebSocket) *side { return p.client }),
		OnUpgrade: func(ws *engine.WebSocket) { p.client.opened(ws) },
	}
	if _, err := engine.Dial(ctx, fmt.Sprintf("ws://%s/%d", m.addr, id), opt); err != nil {
		m.t.Error(err)
		return
	}
	<-p.server.open // the answer of the server left after its OnUpgrade
	m.slots[slot].Store(p)
}

// modelLimits let nothing but the operations end a connection: a side may stay
// paused until the end of the run.
var modelLimits = engine.Limits{
	MaxQueued: 512 << 10, HighWater: 128 << 10, LowWater: 32 << 10, MaxControlRate: -1,
	WriteTimeout: -1, PingInterval: -1, CloseTimeout: time.Hour,
}

func TestRandomOperationsOnBothSidesKeepToTheModel(t *testing.T) {
	seed := seeds.First(t)
	operations := 800
	if longTests {
		operations *= 20
	}
	group, err := loop.Start(loop.Config{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = group.Stop(context.Background()) }() // cannot fail
	m := &model{t: t, group: group}
	m.addr = listen(t, &engine.Server{
		Loops:  2,
		Limits: modelLimits,
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			id, _ := strconv.Atoi(req.Path()[1:]) // its own
			m.mu.Lock()
			s := m.pairs[id].server
			m.mu.Unlock()
			engine.Set(ws, s)
			s.opened(ws)
		},
		Callbacks: modelCallbacks(func(ws *engine.WebSocket) *side { return engine.Get[*side](ws) }),
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	for slot := range m.slots {
		m.connect(ctx, slot)
	}
	var busy sync.WaitGroup
	for w := range modelWorkers {
		busy.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range operations {
				if t.Failed() {
					return
				}
				m.operate(ctx, w, rng)
			}
		})
	}
	busy.Wait()
	var messages int64
	for _, p := range m.pairs {
		m.endPair(p)
		messages += p.server.received.Load() + p.client.received.Load()
	}
	t.Logf("%d messages on %d connections", messages, len(m.pairs))
}

// operate is one random operation of worker w.
func (m *model) operate(ctx context.Context, w int, rng *rand.Rand) {
	slot := rng.IntN(modelSlots)
	p := m.slots[slot].Load()
	s := p.client
	if rng.IntN(2) == 0 {
		s = p.server
	}
	switch n := rng.IntN(100); {
	case ended(s.ws) && n < 50:
		m.connect(ctx, slot)
	case n < 45:
		s.send(w, randomSize(rng), s.ws.Send)
	case n < 55:
		s.send(w, randomSize(rng), s.sendPrepared)
	case n < 63:
		s.sendFragments(w, randomSize(rng), 1+rng.IntN(4))
	case n < 70:
		s.allow("Ping", s.ws.Ping(ink[:rng.IntN(126)]), engine.ErrClosed)
	case n < 76:
		s.ws.PauseReading()
	case n < 86:
		s.ws.ResumeReading()
	case n < 97:
		size := randomSize(rng)
		s.allow("Do", s.ws.Do(func() {
			s.notEnded("Do")
			s.send(onLoop, size, s.ws.Send)
		}), engine.ErrClosed)
	case n < 98:
		s.close(engine.StatusCode(3000 + rng.IntN(1000)))
	case n < 99:
		s.dropped.Store(true)
		s.ws.CloseNow()
	default:
		m.connect(ctx, slot)
	}
}

func ended(ws *engine.WebSocket) bool {
	select {
	case <-ws.Done():
		return true
	default:
		return false
	}
}

// endPair ends a connection that is still open, when everything accepted has
// arrived, and checks both sides.
func (m *model) endPair(p *pair) {
	both := [2]*side{p.server, p.client}
	for _, s := range both {
		select {
		case <-s.open:
		default:
			return // Dial failed and said so
		}
		s.ws.ResumeReading()
		s.waitForLoop()
	}
	quiet := true // nobody has ended it so far
	for _, s := range both {
		quiet = quiet && !s.closed.Load() && !s.dropped.Load()
	}
	if quiet {
		for _, s := range both {
			eventually(m.t, s.name+": everything arrives", func() bool { return s.peer.received.Load() == s.accepted.Load() })
		}
		p.client.close(engine.StatusNormalClosure)
	}
	for _, s := range both {
		within(m.t, s.name+": Done", s.ws.Done())
	}
	for _, s := range both {
		s.check(quiet)
	}
}
