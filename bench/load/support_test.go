package load_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are the spans of tests; what they find does not depend on them.
const (
	window   = 150 * time.Millisecond
	deadline = 500 * time.Millisecond
)

// fault decides what a stand-in server sends instead of message n (from 0) of
// connection client. It may keep p.
type fault func(client, n int, p []byte) [][]byte

func honest(_, _ int, p []byte) [][]byte { return [][]byte{p} }

// standIn serves the bench protocol with faults, and returns its URL. Echoes
// and deliveries are counted per receiving client.
type standIn struct {
	t     *testing.T
	fault fault

	mu      sync.Mutex
	clients []*standInClient
}

type standInClient struct {
	mu sync.Mutex
	ws *websocket.Conn
	n  int // messages sent
	id int
}

func serveFaults(t *testing.T, f fault) string {
	t.Helper()
	s := &standIn{t: t, fault: f}
	srv := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.mu.Lock()
		for _, c := range s.clients {
			c.ws.Close()
		}
		s.mu.Unlock()
		srv.Close()
	})
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/"
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	s.mu.Lock()
	c := &standInClient{ws: ws, id: len(s.clients)}
	s.clients = append(s.clients, c)
	s.mu.Unlock()
	for {
		_, p, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if p[0] != 'B' {
			c.send(s.fault, p)
			continue
		}
		s.mu.Lock()
		all := append([]*standInClient(nil), s.clients...)
		s.mu.Unlock()
		for _, other := range all {
			other.send(s.fault, append([]byte(nil), p...))
		}
	}
}

func (c *standInClient) send(f fault, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n++
	for _, out := range f(c.id, n, p) {
		_ = c.ws.WriteMessage(websocket.BinaryMessage, out) // the client has gone: the test is over
	}
}

// serveFanloop serves the bench protocol with fanloop itself.
func serveFanloop(t *testing.T, loops int) string {
	t.Helper()
	srv := bench.NewServer(loops, slog.New(slog.NewTextHandler(io.Discard, nil)))
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return "ws://" + addr.String() + "/"
}

func start(t *testing.T, cfg load.Config) *load.Generator {
	t.Helper()
	if cfg.Deadline == 0 {
		cfg.Deadline = deadline
	}
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	g, err := load.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func open(t *testing.T, cfg load.Config) *load.Generator {
	t.Helper()
	if cfg.Deadline == 0 {
		cfg.Deadline = 10 * time.Second
	}
	g := start(t, cfg)
	o, err := g.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if o.Conns != cfg.Conns {
		t.Fatalf("%d connections are open, want %d", o.Conns, cfg.Conns)
	}
	return g
}

// work measures and settles.
func work(t *testing.T, g *load.Generator) (load.Window, load.Faults) {
	t.Helper()
	m, err := g.Measure(context.Background(), 0, window, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := g.Settle(context.Background(), m.Published)
	if err != nil {
		t.Fatal(err)
	}
	return m.Window, f
}
