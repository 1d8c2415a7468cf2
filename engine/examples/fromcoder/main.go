// Command fromcoder is a chat in a browser: lines are posted by HTTP and heard through
// a WebSocket. It does what the chat example of coder/websocket does; README.md
// compares them.
package main

import (
	"context"
	_ "embed"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	srv := newServer()
	ln, err := srv.Listen(*addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%v/", ln)
	if err := srv.Run(ctx, 10*time.Second); err != nil {
		log.Fatal(err)
	}
}

func newServer() *engine.Server {
	pages := http.NewServeMux()
	serve := pull.Serve(listen)
	srv := &engine.Server{
		HTTP: pages,
		Slow: engine.Slow{Limit: 128 << 10}, // who has more waiting is closed
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Path() != "/subscribe" {
				return nil, engine.Reject(http.StatusNotFound, "the chat is at /subscribe")
			}
			return nil, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			_ = ws.Subscribe("chat") // before the client knows that it is connected
			serve(ws, req)
		},
	}
	rate := limiter{every: 100 * time.Millisecond, burst: 8}
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	pages.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		line, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8192))
		if err != nil {
			http.Error(w, "at most 8 KiB", http.StatusRequestEntityTooLarge)
			return
		}
		if rate.wait(r.Context()) != nil {
			return // the client has gone
		}
		if _, err := srv.Publish("chat", engine.TextMessage(line)); err != nil {
			log.Println("some did not get a line:", err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	return srv
}

// listen waits for the end of a connection. What the client sends is against the rules.
func listen(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
	if _, _, err := c.Read(ctx); err != nil {
		return err
	}
	return &engine.CloseError{Code: engine.StatusPolicyViolation, Reason: "post to /publish instead"}
}

// limiter lets one pass every so often, and a burst of some.
type limiter struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	next time.Time // when the next one passes that comes after a burst
}

// wait waits for its turn, or until ctx is done.
func (l *limiter) wait(ctx context.Context) error {
	l.mu.Lock()
	turn := l.next
	if first := time.Now().Add(-time.Duration(l.burst-1) * l.every); turn.Before(first) {
		turn = first
	}
	l.next = turn.Add(l.every)
	l.mu.Unlock()
	select {
	case <-time.After(time.Until(turn)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
