// Command history is rooms with a history that several nodes share. A client that was away
// goes on at any node with the message after its last one.
//
//	history -addr localhost:8080 -dir /tmp/history -nats 127.0.0.1:4222
//	history -addr localhost:8081 -url nats://127.0.0.1:4222
//
// The first one runs a NATS server with the messages in its process, the second one joins
// it. A client sends {"room":"lobby"} to read a room from now on, {"room":"lobby","from":...}
// to go on behind a position that it got, and {"room":"lobby","say":"hello"} to speak.
//
// It shows package live with package natsbroker: an Encoder, positions that clients keep,
// and publishing off the loop (WebSocket.Go).
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	dir := flag.String("dir", "", "keep messages here, with a NATS server in this process")
	listen := flag.String("nats", "", "where that server lets other nodes join; empty: not")
	url := flag.String("url", "", "join the NATS server at this URL, in place of one here")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *dir, *listen, *url); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx is done. What was opened is closed in the reverse order.
func run(ctx context.Context, addr, dir, listen, url string) error {
	if (dir == "") == (url == "") {
		return errors.New("set -dir or -url")
	}
	if dir != "" {
		server, err := natsserver.Start(natsserver.Options{Dir: dir, Addr: listen})
		if err != nil {
			return err
		}
		defer server.Close()
		url = server.URL()
	}
	n, err := open(ctx, url)
	if err != nil {
		return err
	}
	defer n.close()
	ln, err := n.server.Listen(addr)
	if err != nil {
		return err
	}
	log.Printf("ws://%v/", ln)
	return n.server.Run(ctx, 10*time.Second)
}
