// Command chat is a chat with rooms in a browser. You log in with a name, enter a room, see
// who is there and what was said last, and talk.
//
//	chat -addr localhost:8080 -rooms lobby,kitchen
//
// It shows sessions by cookie or bearer token (BlockingUpgrade, Request.Context, Value and
// a refusal with WWW-Authenticate), connections that end with their session (CloseAt),
// pages on the same port (Server.HTTP), history and presence by retained messages, OnGap
// for slow readers, and an orderly end on SIGTERM (Run).
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	rooms := flag.String("rooms", "lobby,kitchen", "names of the rooms, with commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := newServer(new(sessions), strings.Split(*rooms, ","))
	ln, err := srv.Listen(*addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%v/", ln)
	if err := srv.Run(ctx, 10*time.Second); err != nil {
		log.Fatal(err)
	}
}
