package load_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
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
	t        *testing.T
	fault    fault
	upgrader websocket.Upgrader
	plain    bool // compresses nothing, whatever was agreed to

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
	return serveStandIn(t, &standIn{fault: f}, nil)
}

// serveStandIn serves wss if config is not nil.
func serveStandIn(t *testing.T, s *standIn, config *tls.Config) string {
	t.Helper()
	s.t = t
	srv := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if config != nil {
		srv.TLS = config
		srv.StartTLS()
	} else {
		srv.Start()
	}
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
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	ws.EnableWriteCompression(!s.plain)
	s.mu.Lock()
	c := &standInClient{ws: ws, id: len(s.clients)}
	s.clients = append(s.clients, c)
	s.mu.Unlock()
	for {
		kind, p, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if p[0] != 'B' {
			c.send(s.fault, kind, p)
			continue
		}
		s.mu.Lock()
		all := append([]*standInClient(nil), s.clients...)
		s.mu.Unlock()
		for _, other := range all {
			other.send(s.fault, kind, append([]byte(nil), p...))
		}
	}
}

func (c *standInClient) send(f fault, kind int, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n++
	for _, out := range f(c.id, n, p) {
		_ = c.ws.WriteMessage(kind, out) // the client has gone: the test is over
	}
}

// serveFanloop serves the bench protocol with fanloop itself.
func serveFanloop(t *testing.T, loops int) string {
	t.Helper()
	return serve(t, bench.Options{Loops: loops})
}

// serve serves the bench protocol with fanloop as o says.
func serve(t *testing.T, o bench.Options) string {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	srv, err := bench.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	if o.TLS {
		return "wss://" + addr.String() + "/"
	}
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
