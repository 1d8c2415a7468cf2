package load_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
			err = goleak.Find() // goroutines that were told to end need a CPU for it
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const (
	// window is how long tests measure at a time; what they find does not depend
	// on it.
	window = 150 * time.Millisecond
	// patience bounds every wait for something that has to happen.
	patience = time.Minute
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

	serving sync.WaitGroup
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
		s.serving.Wait()
	})
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/"
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	s.serving.Add(1)
	defer s.serving.Done()
	s.mu.Lock() // until it is among clients: what is published after its handshake is for it too
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.mu.Unlock()
		return
	}
	defer ws.Close()
	ws.EnableWriteCompression(!s.plain)
	c := &standInClient{ws: ws, id: len(s.clients)}
	s.clients = append(s.clients, c)
	s.mu.Unlock()
	for {
		kind, p, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if p[0] != 'B' {
			if !c.send(s.fault, kind, p) {
				return
			}
			continue
		}
		s.mu.Lock()
		all := append([]*standInClient(nil), s.clients...)
		s.mu.Unlock()
		for _, other := range all {
			_ = other.send(s.fault, kind, append([]byte(nil), p...)) // gone: of no concern to c
		}
	}
}

// send is false when the client has gone: the test is over.
func (c *standInClient) send(f fault, kind int, p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n++
	for _, out := range f(c.id, n, p) {
		if c.ws.WriteMessage(kind, out) != nil {
			return false
		}
	}
	return true
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
		cfg.Deadline = patience
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

// measure measures one window after the other until one is enough: where others
// want the CPUs, the first may not be.
func measure(t *testing.T, run func() (load.Measured, error), enough func(load.Measured) bool) load.Measured {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		m, err := run()
		if err != nil {
			t.Fatal(err)
		}
		if enough(m) {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages in the last window: it is never enough", m.Messages)
		}
	}
}

// windows is measure with windows of g.
func windows(t *testing.T, g *load.Generator, enough func(load.Measured) bool) load.Measured {
	t.Helper()
	return measure(t, func() (load.Measured, error) { return g.Measure(t.Context(), 0, window, nil) }, enough)
}

func anything(m load.Measured) bool { return m.Messages > 0 }

// work measures until something has arrived, and settles.
func work(t *testing.T, g *load.Generator) (load.Window, load.Faults) {
	t.Helper()
	m := windows(t, g, anything)
	return m.Window, settle(t, g, m)
}

func settle(t *testing.T, g *load.Generator, m load.Measured) load.Faults {
	t.Helper()
	f, err := g.Settle(t.Context(), m.Published)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
