//go:build linux

package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/engine/internal/testkit/leaks"
)

// world is a server, its peers, and what happens to them in turn: in each moment
// the server does something, then the peers do, and then time passes.
type world struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	srv   *engine.Server
	clock *drivenClock // nil: time passes by itself
	began time.Time

	limits        engine.Limits // with defaults, once it is open
	id            *testkit.Identity
	plain, secure string // addresses
	counts        bool   // every publish and its outcome is known
	buf           []byte // peers read into it

	joining   atomic.Pointer[subject]
	joined    chan *engine.WebSocket
	subjects  []*subject
	alive     []*subject
	strangers []*stranger
	numbers   map[string]int // of the last one published in each topic
	events    atomic.Int64
	victim    atomic.Pointer[subject] // the next one that fails closes it

	moments               int
	steps                 flow // how long they were, and when they ended
	longest               time.Duration
	late                  bool          // what wait waits for has not come for long
	shutdownAt, droppedAt time.Duration // the server's end
}

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &world{t: t, seed: seed, rng: rng, counts: true, id: testkit.NewIdentity(t, "server"), buf: make([]byte, 64<<10),
		began: time.Now(), joined: make(chan *engine.WebSocket, 1), numbers: make(map[string]int)}
	w.srv = &engine.Server{
		Loops: 1 + rng.IntN(2), Callbacks: subjectCallbacks(), OnUpgrade: w.onUpgrade,
		Compression: &engine.Compression{ServerContextTakeover: rng.IntN(2) == 0, ClientContextTakeover: rng.IntN(2) == 0, Threshold: 100},
	}
	w.srv.Logger, _ = newLog()
	return w
}

func (w *world) onUpgrade(ws *engine.WebSocket, _ *engine.Request) {
	s := w.joining.Load()
	engine.Set(ws, s)
	for name := range s.topics {
		if err := ws.Subscribe(name); err != nil {
			w.t.Error(err)
		}
	}
	w.joined <- ws
}

func (w *world) describe() string {
	return fmt.Sprintf("limits %+v, %+v", w.limits, w.srv.Dispatch)
}

func (w *world) now() time.Duration {
	if w.clock != nil {
		return time.Duration(w.clock.now.Load())
	}
	return time.Since(w.began) + time.Hour
}

// open starts the server, whose sockets have send buffers of a random size.
func (w *world) open() {
	if w.rng.IntN(6) == 0 {
		w.srv.Dispatch = &engine.Dispatch{Workers: 1 + w.rng.IntN(4), MaxWaiting: 1 + w.rng.IntN(8)}
		w.counts = false
	}
	w.srv.Limits = w.limits
	w.limits = w.limits.WithDefaults()
	listen(w.t, w.srv) // for the end of it
	small := sockoptInt(syscall.SO_SNDBUF, []int{4096, 16 << 10, 64 << 10}[w.rng.IntN(3)])
	for _, opt := range []engine.ListenOptions{{}, {TLS: w.id.Server()}} {
		lc := net.ListenConfig{Control: small}
		ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			w.t.Fatal(err)
		}
		w.plain, w.secure = w.secure, ln.Addr().String()
		go func() { _ = w.srv.ServeWith(ln, opt) }() // ErrServerClosed
	}
}

// play is the life of the world.
func (w *world) play() {
	slots := 6 + w.rng.IntN(20)
	for range 40 + w.rng.IntN(80) {
		for len(w.alive) < slots {
			w.join()
		}
		if w.rng.IntN(8) == 0 {
			w.joinStranger()
		}
		w.operate()
		w.moment()
		w.pass()
		w.settle() // what came while it passed is seen to
		if w.judge(); w.t.Failed() {
			return
		}
	}
	w.finish()
}

// join opens one more connection.
func (w *world) join() {
	rng := w.rng
	s := &subject{w: w, name: fmt.Sprint(len(w.subjects)), topics: make(map[string]*reading), openedAt: w.now(),
		kind: kind{secure: rng.IntN(4) == 0, narrow: rng.IntN(4) > 0, packed: rng.IntN(4) == 0}}
	for i := range 3 {
		if rng.IntN(2) == 0 {
			s.topics[fmt.Sprint("t", i)] = new(reading)
		}
	}
	s.peer = &timePeer{s: s, rng: rand.New(rand.NewPCG(w.seed, uint64(1+len(w.subjects)))), habit: randomHabit(rng),
		numbers: make(map[string]int), news: make(map[string]int)}
	s.peer.up = facts{someAt: w.now(), heardAt: w.now(), letterAt: w.now(), rate: rateMeter{at: w.now()}}
	w.joining.Store(s)
	if err := s.connect(); err != nil {
		w.lostAtOnce(err)
		return
	}
	s.ws = within(w.t, "OnUpgrade", w.joined)
	s.policy = engine.SlowPolicy(rng.IntN(4))
	slow := engine.Slow{Policy: s.policy, Limit: []int{0, 4 << 10, 64 << 10}[rng.IntN(3)]}
	if w.limits.WriteTimeout > 0 && rng.IntN(2) == 0 {
		slow.Timeout = w.limits.WriteTimeout / 2
	}
	if err := s.ws.SetSlow(slow); err != nil {
		w.t.Fatal(err)
	}
	s.logf("opened: %v, %v, slow %+v", s.kind, s.peer.habit, slow)
	w.subjects, w.alive = append(w.subjects, s), append(w.alive, s)
}

// lostAtOnce is a connection that a short limit ended before its peer got the answer.
func (w *world) lostAtOnce(err error) {
	if w.clock != nil {
		w.t.Fatal(err)
	}
	select {
	case ws := <-w.joined:
		within(w.t, "the end", ws.Done())
	default:
	}
}

// operate is what the server does in one moment.
func (w *world) operate() {
	if w.rng.IntN(3) == 0 && len(w.alive) > 0 {
		w.victim.Store(w.alive[w.rng.IntN(len(w.alive))])
	}
	for range w.rng.IntN(8) {
		switch {
		case len(w.alive) == 0:
		case w.rng.IntN(3) == 0:
			w.publish()
		default:
			w.alive[w.rng.IntN(len(w.alive))].operate(w.rng)
		}
	}
}

// moment is what the peers do while the clock stands still.
func (w *world) moment() {
	w.moments++
	for _, s := range w.strangers {
		s.drip()
	}
	for _, s := range w.alive {
		s.peer.begin()
	}
	for again := true; again; {
		again = w.pump()
		w.settle()
	}
	w.sample()
}

// pump lets peers send and read, and says whether any of them read something.
func (w *world) pump() (read bool) {
	for _, s := range w.alive {
		read = s.peer.pump() || read
	}
	return read
}

// sample notes how far everyone has got at the end of a moment.
func (w *world) sample() {
	for _, s := range w.alive {
		s.peer.sample()
		switch queued := s.ws.Buffered() > 0 && s.rest == nil; { // what is published waits for the end of a message
		case !queued:
			s.queuedSince = 0
		case s.queuedSince == 0:
			s.queuedSince = w.now()
		}
	}
}

// judge holds the rules against all connections, and lets go of those that ended.
func (w *world) judge() {
	kept := w.alive[:0]
	for _, s := range w.alive {
		if s.judge(); !s.done {
			kept = append(kept, s)
		}
	}
	w.alive = kept
	w.judgeStrangers()
}

// finish ends the server in one of several ways.
func (w *world) finish() {
	for _, s := range w.alive {
		s.resume()
	}
	switch w.rng.IntN(4) {
	case 0:
		w.shutDown()
	case 1:
		w.droppedAt = w.now()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = w.srv.Shutdown(ctx) // that it dropped some, or none
	case 2:
		w.droppedAt = w.now()
		if err := w.srv.Close(); err != nil {
			w.t.Error(err)
		}
	case 3:
		for _, s := range w.alive {
			s.peer.leave()
		}
		if w.clock == nil { // their time is long
			for _, s := range w.strangers {
				_ = s.Close()
			}
		}
		w.goOn()
	}
	w.judge()
	for _, s := range w.alive {
		s.violates("in time", "it is left after the end")
	}
}

// shutDown ends the server in order, while the peers go on.
func (w *world) shutDown() {
	w.shutdownAt = w.now()
	for _, s := range w.alive {
		s.close("Shutdown", func() {})
	}
	done := make(chan error, 1)
	go func() { done <- w.srv.Shutdown(context.Background()) }()
	for _, s := range w.alive {
		eventually(w.t, "Shutdown begins", func() bool { return !engine.IsOpen(s.ws) })
	}
	w.goOn()
	if err := within(w.t, "the end of Shutdown", done); err != nil {
		w.t.Error("Shutdown:", err)
	}
}

// goOn lets time pass until all connections have ended, as is to be soon.
func (w *world) goOn() {
	for start := time.Now(); len(w.alive)+len(w.strangers) > 0 && !w.t.Failed(); {
		if w.clock == nil && time.Since(start) > patience {
			return
		}
		w.moment()
		w.step(w.limits.CloseTimeout / 4)
		w.settle()
		w.judge()
	}
}

// nothingLeft fails if the server counts anything after its end, or the process does.
func (w *world) nothingLeft(descriptors int) {
	if w.t.Failed() {
		return
	}
	left := ""
	defer func() {
		if w.t.Failed() {
			w.t.Log("left:", left)
		}
	}()
	w.wait("[counts] nothing is left", func() bool {
		st := w.srv.Stats()
		topics, parts, subs, slow := engine.HubLeft(w.srv)
		left = fmt.Sprintf("%d of %d connections, %d bytes queued, %d topics of %d parts, %d subscriptions, %d slow",
			st.Connections, w.srv.Conns(), st.QueuedBytes, topics, parts, subs, slow)
		return w.srv.Conns()+st.Connections+st.QueuedBytes+topics+parts+subs+slow == 0
	})
	for _, s := range w.strangers {
		_ = s.Close()
	}
	if err := w.srv.Close(); err != nil {
		w.t.Error(err)
	}
	eventually(w.t, "[leaks] descriptors", func() bool { return leaks.OpenDescriptors() <= descriptors })
}
