// Command fromgorilla is a chat in a browser: every line goes to everybody. It does
// what the chat example of gorilla/websocket does; README.md compares them.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", ":8080", "where to listen")
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
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	srv := &engine.Server{
		HTTP: pages,
		Limits: engine.Limits{
			MaxMessage:   512,
			PingInterval: 54 * time.Second,
			PongTimeout:  6 * time.Second,
			WriteTimeout: 10 * time.Second,
		},
		Slow: engine.Slow{Limit: 128 << 10}, // who has more waiting is closed
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Path() != "/ws" {
				return nil, engine.Reject(http.StatusNotFound, "the chat is at /ws")
			}
			return nil, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { _ = ws.Subscribe("chat") },
	}
	srv.Callbacks.OnText = func(_ *engine.WebSocket, text []byte) {
		line := bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\n"), []byte(" ")))
		if _, err := srv.Publish("chat", engine.TextMessage(line)); err != nil {
			log.Println("some did not get a line:", err)
		}
	}
	return srv
}
