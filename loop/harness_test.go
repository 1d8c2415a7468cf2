package loop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come. Only a failing test
// waits that long.
const patience = time.Minute

// eachBackend runs test over the backends that are built in: on Linux netpoll is
// with -tags netpoll, as in the race run of CI.
func eachBackend(t *testing.T, test func(t *testing.T, b Backend)) {
	backends := map[string]Backend{"default": BackendDefault}
	if netpollBuilt {
		backends["netpoll"] = BackendNetpoll
	}
	for name, b := range backends {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// scripted is a Handler whose events are functions; nil ones do nothing.
type scripted struct {
	Conn
	onOpen, onEOF, onNotify, onTimer, onDrain func(*scripted)
	onData                                    func(*scripted, []byte)
	onClose                                   func(*scripted, error)

	events atomic.Int32 // callbacks under way
	nested atomic.Bool  // one began inside another
	ends   atomic.Int32
	late   atomic.Bool // an event after OnClose
	open   chan struct{}
	closed chan error
}

func newScripted() *scripted {
	return &scripted{open: make(chan struct{}), closed: make(chan error, 8)}
}

// newEcho sends back what it receives, and ends when its peer does.
func newEcho() *scripted {
	s := newScripted()
	s.onData = func(s *scripted, b []byte) { _ = s.Write(nil, b) }
	s.onEOF = func(s *scripted) { s.Close(CloseFlushed) }
	return s
}

func (s *scripted) run(fn func(*scripted)) {
	if s.events.Add(1) > 1 {
		s.nested.Store(true)
	}
	if s.ends.Load() > 0 {
		s.late.Store(true)
	}
	if fn != nil {
		fn(s)
	}
	s.events.Add(-1)
}

func (s *scripted) LoopConn() *Conn { return &s.Conn }
func (s *scripted) OnOpen()         { s.run(s.onOpen); close(s.open) }
func (s *scripted) OnEOF()          { s.run(s.onEOF) }
func (s *scripted) OnNotify()       { s.run(s.onNotify) }
func (s *scripted) OnTimer()        { s.run(s.onTimer) }
func (s *scripted) OnDrain()        { s.run(s.onDrain) }

func (s *scripted) OnData(b []byte) {
	s.run(func(s *scripted) {
		if s.onData != nil {
			s.onData(s, b)
		}
	})
}

func (s *scripted) OnClose(err error) {
	s.run(func(s *scripted) {
		if s.onClose != nil {
			s.onClose(s, err)
		}
	})
	s.ends.Add(1)
	s.closed <- err
}

// checkOrder asserts what holds for every connection that has ended.
func (s *scripted) checkOrder(t *testing.T) {
	t.Helper()
	if n := s.ends.Load(); n != 1 {
		t.Errorf("OnClose came %d times", n)
	}
	if s.nested.Load() {
		t.Error("a callback began inside another")
	}
	if s.late.Load() {
		t.Error("a callback came after OnClose")
	}
}

func start(t *testing.T, cfg Config) *Group {
	t.Helper()
	if cfg.Loops == 0 {
		cfg.Loops = 1
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, g) })
	return g
}

func stop(t *testing.T, g *Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func listen(t *testing.T, g *Group, policy *WritePolicy, accept Accept) *Listener {
	t.Helper()
	ln, err := g.Listen("127.0.0.1:0", ListenConfig{Accept: accept, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func listenEcho(t *testing.T, g *Group) *Listener {
	t.Helper()
	return listen(t, g, nil, func(*Loop) Handler { return newEcho() })
}

// connectTo dials ln by the net package. Reads and writes fail when they take
// longer than patience.
func connectTo(t *testing.T, ln *Listener) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return nc.(*net.TCPConn)
}

// serveOne returns a connection of the loop, which s has, and its peer.
func serveOne(t *testing.T, g *Group, policy *WritePolicy, s *scripted) *net.TCPConn {
	t.Helper()
	ln := listen(t, g, policy, func(*Loop) Handler { return s })
	peer := connectTo(t, ln)
	receive(t, s.open)
	return peer
}

// unixPair adopts one end of a socket pair of the given type, with s, and
// returns the other.
func unixPair(t *testing.T, g *Group, kind int, policy *WritePolicy, s *scripted) *net.UnixConn {
	t.Helper()
	ours, peer := socketPair(t, kind)
	if err := g.Adopt(ours, s, policy); err != nil {
		t.Fatal(err)
	}
	receive(t, s.open)
	return peer
}

func socketPair(t *testing.T, kind int) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "pair")
		nc, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(patience))
		conns[i] = nc.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

// receive waits for ch.
func receive[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// socketPath returns a path for a unix socket: names of tests are too long for one.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "loop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

// hold keeps l from doing anything until free is called.
func hold(t *testing.T, l *Loop) (free func()) {
	t.Helper()
	held, end := make(chan struct{}), make(chan struct{})
	if err := l.Do(func() { close(held); <-end }); err != nil {
		t.Fatal(err)
	}
	receive(t, held)
	return func() { close(end) }
}

// settle waits until l has told and closed what ended before: that is done
// after the mail of a turn.
func settle(t *testing.T, l *Loop) {
	t.Helper()
	for range 2 {
		onLoop(t, l, func() {})
	}
}

// onLoop runs fn on l and waits for it.
func onLoop(t *testing.T, l *Loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	if err := l.Do(func() { fn(); close(done) }); err != nil {
		t.Fatal(err)
	}
	receive(t, done)
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened: " + what)
		}
	}
}

// roundTrip proves that an echo connection is served.
func roundTrip(t *testing.T, nc net.Conn, msg string) {
	t.Helper()
	if _, err := nc.Write([]byte(msg)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != msg {
		t.Fatalf("sent %q, got %q back", msg, got)
	}
}

// fill writes to c until the socket takes no more, and returns what it wrote.
// The kernel may take more when it gets round to what it has: far more than that
// stays queued.
func fill(t *testing.T, c *Conn) []byte {
	t.Helper()
	c.mu.Lock()
	size, err := unix.GetsockoptInt(systemFD(c), unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err == nil && size > fillBuffer {
		err = unix.SetsockoptInt(systemFD(c), unix.SOL_SOCKET, unix.SO_SNDBUF, fillBuffer) // or it would grow
	}
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for i := 0; c.Queued() < 16*fillBuffer; i++ {
		p := bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), 4<<10)
		if err := c.Write(nil, p); err != nil {
			t.Fatal(err)
		}
		all.Write(p)
	}
	return all.Bytes()
}

// fillBuffer bounds the buffer for sending of a connection that is filled.
const fillBuffer = 64 << 10

// readAll returns what nc delivers until its end; a reset is an error.
func readAll(t *testing.T, nc net.Conn) []byte {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(b), err)
	}
	return b
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// shrink gives a connection the smallest buffer for sending there is.
func shrink(t *testing.T, c *Conn) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := unix.SetsockoptInt(systemFD(c), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil {
		t.Error(err)
	}
}

// record is a slog.Handler that counts lines.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) Enabled(context.Context, slog.Level) bool { return true }
func (r *record) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *record) WithGroup(string) slog.Handler            { return r }

func (r *record) Handle(_ context.Context, line slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line.Message)
	return nil
}

func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// descriptor returns the number that c has now.
func (s *scripted) descriptor() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.fd)
}

// newRandom returns a source whose seed a failing test tells: 1, a random one with
// FANLOOP_SEED=random, or the one that FANLOOP_SEED names.
func newRandom(t *testing.T) *rand.Rand {
	seed := uint64(1)
	switch s := os.Getenv("FANLOOP_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64N(1 << 40)
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with FANLOOP_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}
