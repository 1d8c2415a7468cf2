package load

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// Generator is one process's share of the clients. Its methods are called one
// after the other, by one goroutine; each ends with the first failure, with
// ctx, or within a few Deadlines.
type Generator struct {
	// Immutable after Start.
	cfg     Config
	target  target
	uris    []string // by topic
	addr    *net.TCPAddr
	sources []net.Addr
	reader  codec.ReaderConfig
	group   *loop.Group
	workers []*worker

	next       atomic.Int64 // connections asked for
	open       atomic.Int64
	back       atomic.Int64 // open again after a storm
	retries    atomic.Int64
	dropped    atomic.Int64 // silent connections that the server ended
	shaking    atomic.Int64 // Connect: handshakes under way
	reopen     atomic.Bool  // a connection that closes is opened again
	stormy     atomic.Bool  // a connection that is refused is tried again
	allOpen    atomic.Pointer[gate]
	publishers publishers

	// Owned by the goroutine that calls Work, Seen and Measure.
	allocated uint64 // heap objects before the last Work
	packs     bool   // a message came compressed
	unpacked  uint64 // messages while none had

	failed chan struct{} // closed with the first failure
	once   sync.Once
	err    error // valid after failed
}

// gate opens once.
type gate struct {
	ch   chan struct{}
	once sync.Once
}

func newGate() *gate     { return &gate{ch: make(chan struct{})} }
func (g *gate) unlatch() { g.once.Do(func() { close(g.ch) }) }

// Start checks cfg, raises the limit of open files as far as it goes, and
// starts the loops. Nothing is sent yet.
func Start(ctx context.Context, cfg Config) (*Generator, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := RaiseFileLimit(cfg.Conns); err != nil {
		return nil, err
	}
	g := &Generator{cfg: cfg, failed: make(chan struct{})}
	g.target, _ = parseTarget(cfg.Target) // Check has done so
	var err error
	if g.addr, err = g.target.resolve(ctx); err != nil {
		return nil, err
	}
	g.sources = sources(g.addr, cfg.Sources)
	g.uris = topicURIs(g.target.uri, cfg.Topics)
	g.reader = codec.ReaderConfig{Role: codec.Client, MaxMessage: -1, Rsv1: cfg.Compression != Off}
	g.group, err = loop.Start(loop.Config{Loops: cfg.Loops, BlockedAfter: -1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	for _, l := range g.group.Loops() {
		g.workers = append(g.workers, newWorker(g, l))
	}
	g.publishers.burst = uint32(cfg.Burst)
	if cfg.Mode == Fanout && !cfg.Listen {
		g.publishers.all = make([]*publisher, cfg.Publishers)
	}
	g.allOpen.Store(newGate())
	return g, nil
}

// topicURIs names one resource per topic; one topic needs no name.
func topicURIs(uri string, topics int) []string {
	if topics == 1 {
		return []string{uri}
	}
	uris := make([]string, topics)
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	for i := range uris {
		uris[i] = uri + separator + "topic=" + strconv.Itoa(i)
	}
	return uris
}

// fail ends the run with its first failure. Any goroutine.
func (g *Generator) fail(err error) {
	g.once.Do(func() {
		g.err = err
		close(g.failed)
	})
}

// Opened is what Open and Storm report.
type Opened struct {
	Conns   int     `json:"connections"`
	Seconds float64 `json:"seconds"`
	Retries int64   `json:"retries,omitempty"`
	Latency Latency `json:"latency"` // in ns, from connect (Storm: from the drop) to the end of the handshake
}

// Open opens all connections. It fails if one cannot be opened, or if nothing
// happens for Config.Deadline.
func (g *Generator) Open(ctx context.Context) (Opened, error) {
	began := now()
	for range min(g.cfg.Opening, g.cfg.Conns) {
		g.dialNext()
	}
	if err := g.awaitOpen(ctx); err != nil {
		return Opened{}, err
	}
	return g.openedSince(began)
}

func (g *Generator) openedSince(began int64) (Opened, error) {
	o := Opened{Conns: int(g.open.Load()), Seconds: float64(now()-began) / 1e9, Retries: g.retries.Load()}
	w, err := g.take()
	o.Latency = w.Latency
	return o, err
}

// awaitOpen waits until all connections are open.
func (g *Generator) awaitOpen(ctx context.Context) error {
	done := g.allOpen.Load().ch
	every := time.NewTicker(g.cfg.Deadline * 3 / 2) // a handshake that takes too long can tell more
	defer every.Stop()
	for last := int64(-1); ; {
		select {
		case <-done:
			return nil
		case <-g.failed:
			return g.err
		case <-ctx.Done():
			return ctx.Err()
		case <-every.C:
			open := g.open.Load()
			if open == last || last < 0 && open == 0 {
				return fmt.Errorf("%d of %d connections are open and no more were opened for %v: is the server's limit of open files high enough, and its address right?", open, g.cfg.Conns, g.cfg.Deadline)
			}
			last = open
		}
	}
}

// dialNext asks for the next connection, if there is one left. Any goroutine.
func (g *Generator) dialNext() {
	if n := g.next.Add(1) - 1; n < int64(g.cfg.Conns) {
		g.dial(g.newConn(uint32(int64(g.cfg.First) + n)))
	}
}

func (g *Generator) dial(c *conn) {
	cfg := loop.DialConfig{Local: g.sources[int(c.id)%len(g.sources)]}
	if err := g.group.Dial(g.addr, c, cfg); err != nil {
		g.fail(err)
	}
}

// opened is told when a handshake is over. On the loop of c.
func (g *Generator) opened(c *conn) {
	w := c.worker
	at := now()
	w.tally.record(at, at-c.began)
	if g.cfg.Mode == Connect {
		c.leaving = true
		c.Close(loop.CloseReset)
		return
	}
	w.add(c)
	n := g.open.Add(1)
	if g.stormy.Load() {
		n = g.back.Add(1)
	}
	if n == int64(g.cfg.Conns) {
		g.allOpen.Load().unlatch()
	}
	g.dialNext()
}

// refused is told when a connection could not be opened.
func (g *Generator) refused(c *conn, err error) {
	if !g.stormy.Load() {
		g.fail(err)
		return
	}
	g.retries.Add(1)
	again := g.newConn(c.id)
	again.began = c.began
	time.AfterFunc(10*time.Millisecond, func() { g.dial(again) })
}

// closed is told when a connection has ended that was open, or was refused.
func (g *Generator) closed(c *conn) {
	if c.opening != nil {
		return
	}
	if g.cfg.Mode != Connect {
		g.open.Add(-1)
	}
	switch {
	case g.reopen.Load():
		again := g.newConn(c.id)
		if g.stormy.Load() {
			again.began = c.began
		}
		g.dial(again)
	case g.cfg.Mode == Connect:
		g.shaking.Add(-1)
	}
}

// onLoops runs fn for every worker on its loop and waits for all of them.
func (g *Generator) onLoops(fn func(*worker)) {
	var all sync.WaitGroup
	for _, w := range g.workers {
		all.Add(1)
		if w.loop.Do(func() { defer all.Done(); fn(w) }) != nil {
			all.Done()
		}
	}
	all.Wait()
}

// take returns what was seen since the last take.
func (g *Generator) take() (Window, error) {
	var sum Window
	for _, w := range g.workers {
		t := w.collect()
		if t == nil {
			return sum, loop.ErrStopped
		}
		if t.err != nil {
			return sum, t.err
		}
		sum.add(t)
	}
	return sum, nil
}

// Close drops all connections and ends the loops.
func (g *Generator) Close() {
	_ = g.group.Stop(context.Background()) // without a deadline it cannot fail
}
