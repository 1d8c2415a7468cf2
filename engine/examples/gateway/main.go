// Command gateway connects WebSocket clients to TCP servers. /tcp/NAME carries the bytes
// of one of them in binary messages, and /rpc answers JSON-RPC 2.0.
//
//	gateway -backend 'redis=localhost:6379?idle=5m&conns=100' -backend smtp=localhost:25
//
// It shows an endpoint with limits of its own for each backend (Server.Handle, MaxConnections), pull.Serve
// and pull.NetConn with io.Copy in both directions, close codes by the error of a handler,
// and requests and responses with pull.ReadJSON and pull.WriteJSON.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	all := make(backends)
	flag.Func("backend", "`NAME=HOST:PORT`, with ?idle=DURATION&queue=BYTES&conns=NUMBER; may be repeated", all.add)
	flag.Parse()
	srv := newServer(all)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := srv.Listen(*addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("serving ws://%v/", ln)
	if err := srv.Run(ctx, 10*time.Second); err != nil {
		log.Fatal(err)
	}
}

func newServer(all backends) *engine.Server {
	srv := new(engine.Server)
	for name, b := range all {
		srv.Handle("/tcp/"+name, &engine.Endpoint{OnUpgrade: pull.Serve(b.tunnel), Limits: b.limits, MaxConnections: b.maxConns})
	}
	srv.Handle("/rpc", &engine.Endpoint{
		OnUpgrade: pull.Serve(newMethods(all).serve),
		Limits:    engine.Limits{MaxMessage: 64 << 10},
	})
	return srv
}
