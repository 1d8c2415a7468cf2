package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// seedVariable replays the operations of a run; how goroutines interleave is
// another matter.
const seedVariable = "FANLOOP_MODEL_SEED"

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

// side is one end of a connection: what it sends, and what it receives from
// its peer.
type side struct {
	m    *model
	name string // of the connection and the direction in which this side sends
	peer *side
	ws   *engine.WebSocket
	open chan struct{} // closed when ws is set

	fragments sync.Mutex // held while a message of fragments is under way
	closed    atomic.Bool
	dropped   atomic.Bool

	mu     sync.Mutex
	codes  []engine.StatusCode // of those calls of Close that may have been the first
	closes bool                // one of them has returned

	accepted, received atomic.Int64
	sentEmpty          atomic.Int64

	sent [senders]uint32 // each touched by its sender

	// Owned by the loop, and read after Done.
	got      [senders]uint32
	gotEmpty int64
	ended    int
	endCode  engine.StatusCode
}

// ink is what messages are written with.
var ink = func() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 2*modelLargest)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz012345"[rng.IntN(32)]
	}
	return b
}()

// message is the one of that number by that sender, of n bytes at least. It
// says where it belongs; the rest is ink from a place of its own.
func (s *side) message(sender int, number uint32, n int) (engine.OpCode, []byte) {
	head := fmt.Appendf(nil, "%c %s %d ", 'A'+sender, s.name, number)
	n = max(n-len(head), 0)
	from := int(number*7919+uint32(sender)*104729) % (len(ink) - modelLargest)
	op := engine.Text
	if number%2 == 0 {
		op = engine.Binary
	}
	return op, append(head, ink[from:from+n]...)
}

// receive checks a message of the peer: the next of its sender, and no other.
func (s *side) receive(op engine.OpCode, b []byte) {
	s.notEnded("a message")
	s.received.Add(1)
	if len(b) == 0 {
		s.gotEmpty++
		return
	}
	sender := int(b[0]) - 'A'
	if sender < 0 || sender >= senders {
		s.m.t.Errorf("%s: got foreign bytes %.60q", s.name, b)
		return
	}
	wantOp, want := s.peer.message(sender, s.got[sender], len(b))
	if op != wantOp || !bytes.Equal(b, want) {
		s.m.t.Errorf("%s: got %v of %d bytes %.60q, want %v of %d bytes %.60q", s.name, op, len(b), b, wantOp, len(want), want)
	}
	s.got[sender]++
}

func (s *side) opened(ws *engine.WebSocket) {
	s.ws = ws
	close(s.open)
}

func (s *side) notEnded(what string) {
	if s.ended > 0 {
		s.m.t.Errorf("%s: %s after OnClose", s.name, what)
	}
}

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
	seed := rand.Uint64()
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
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
		OnUpgrade: func(ws *engine.WebSocket, req *handshake.Request) {
			id, _ := strconv.Atoi(req.Path()[1:]) // its own
			m.mu.Lock()
			s := m.pairs[id].server
			m.mu.Unlock()
			ws.SetValue(s)
			s.opened(ws)
		},
		Callbacks: modelCallbacks(func(ws *engine.WebSocket) *side { return ws.Value().(*side) }),
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
		m.settle(p)
		messages += p.server.received.Load() + p.client.received.Load()
	}
	t.Logf("%d messages on %d connections", messages, len(m.pairs))
	if t.Failed() {
		t.Logf("replay with %s=%d", seedVariable, seed)
	}
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

func randomSize(rng *rand.Rand) int {
	switch rng.IntN(10) {
	case 0:
		return 0
	case 1, 2, 3, 4, 5:
		return 1 + rng.IntN(200)
	case 6, 7, 8:
		return rng.IntN(16 << 10)
	}
	return rng.IntN(modelLargest)
}

// allow reports an error that is not among those an operation may have.
func (s *side) allow(what string, err error, allowed ...error) bool {
	if err == nil {
		return true
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return false
		}
	}
	s.m.t.Errorf("%s: %s: %v", s.name, what, err)
	return false
}

// send sends the next message of a sender; size 0 is an empty one, which says
// nothing of itself and is counted.
func (s *side) send(sender, size int, by func(engine.OpCode, []byte) error) {
	op, b := engine.Text, []byte(nil)
	if size > 0 {
		op, b = s.message(sender, s.sent[sender], size)
	}
	if s.allow("Send", by(op, b), engine.ErrClosed, engine.ErrBackpressure, engine.ErrFragmentOpen) {
		s.note(sender, size)
	}
}

// note counts a message that was accepted.
func (s *side) note(sender, size int) {
	s.accepted.Add(1)
	if size > 0 {
		s.sent[sender]++
	} else {
		s.sentEmpty.Add(1)
	}
}

func (s *side) sendPrepared(op engine.OpCode, b []byte) error {
	p, err := engine.Prepare(op, b)
	if err != nil {
		return err
	}
	return s.ws.SendPrepared(p)
}

// sendFragments sends the next message of a sender in several frames. One
// sender at a time may do that. Once begun, the message is finished.
func (s *side) sendFragments(sender, size, frames int) {
	if !s.fragments.TryLock() {
		return
	}
	defer s.fragments.Unlock()
	op, b := engine.Text, []byte(nil)
	if size > 0 {
		op, b = s.message(sender, s.sent[sender], size)
	}
	for i := range frames {
		from, to := len(b)*i/frames, len(b)*(i+1)/frames
		err := s.ws.SendFragment(op, b[from:to], i == frames-1)
		for i > 0 && errors.Is(err, engine.ErrBackpressure) {
			s.peer.ws.ResumeReading()
			time.Sleep(time.Millisecond)
			err = s.ws.SendFragment(op, b[from:to], i == frames-1)
		}
		if !s.allow("SendFragment", err, engine.ErrClosed, engine.ErrBackpressure) {
			return
		}
	}
	s.note(sender, size)
}

// close begins the closing handshake; the first code counts.
func (s *side) close(code engine.StatusCode) {
	s.closed.Store(true)
	s.mu.Lock()
	if !s.closes {
		s.codes = append(s.codes, code)
	}
	s.mu.Unlock()
	s.allow("Close", s.ws.Close(code, s.name))
	s.mu.Lock()
	s.closes = true
	s.mu.Unlock()
}

// settle ends a connection that is still open, when everything accepted has
// arrived, and checks both sides.
func (m *model) settle(p *pair) {
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

// waitForLoop waits until every Do so far has run.
func (s *side) waitForLoop() {
	ran := make(chan struct{})
	if s.ws.Do(func() { close(ran) }) != nil {
		return
	}
	select {
	case <-ran:
	case <-s.ws.Done():
	}
}

// check judges what the peer got of what s sent, after the end of both.
func (s *side) check(quiet bool) {
	t, peer := s.m.t, s.peer
	dropped := s.dropped.Load() || peer.dropped.Load()
	// After a Close of the peer what s sent may be discarded; after one of s
	// alone it arrives before the close frame does.
	whole := quiet || s.closed.Load() && !peer.closed.Load() && !dropped
	for i, n := range s.sent {
		if got := peer.got[i]; got > n || whole && got < n {
			t.Errorf("%s: sender %d had %d messages accepted, the peer got %d (all: %v)", s.name, i, n, got, whole)
		}
	}
	if got, n := peer.gotEmpty, s.sentEmpty.Load(); got > n || whole && got < n {
		t.Errorf("%s: %d empty messages accepted, the peer got %d (all: %v)", s.name, n, got, whole)
	}
	if s.ended != 1 {
		t.Errorf("%s: OnClose came %d times", s.name, s.ended)
	}
	err := s.ws.Err()
	switch {
	case !dropped && err != nil:
		t.Errorf("%s: ended with %v", s.name, err)
	case whole && s.closed.Load() && !slices.Contains(s.codes, peer.endCode):
		t.Errorf("%s: closed with %d, the peer saw %d", s.name, s.codes, peer.endCode)
	case err != nil && !errors.Is(err, engine.ErrAbnormalClosure) && !errors.Is(err, engine.ErrClosed):
		t.Errorf("%s: dropped, and ended with %v", s.name, err)
	}
}
