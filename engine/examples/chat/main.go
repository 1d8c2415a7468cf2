// Command chat is a chat with rooms in a browser. You log in with a name, enter a room, see
// who is there and what was said last, and talk.
//
//	chat -addr localhost:8080 -rooms lobby,kitchen
//
// It shows sessions by cookie or bearer token (BlockingUpgrade, Request.Context, Value and
// a refusal with WWW-Authenticate), connections that end with their session (CloseAt),
// pages on the same port (Server.HTTP), history and presence by retained messages, OnGap
// for slow readers, and an orderly end on SIGTERM (ShutdownWith).
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

	"github.com/fanloop-go/fanloop/engine"
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
	<-ctx.Done()
	if err := drain(srv); err != nil {
		log.Println(err)
	}
}

// drain asks everybody to come back to the server that follows, and waits until they have
// left.
func drain(srv *engine.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.ShutdownWith(ctx, engine.StatusServiceRestart, "restarting")
}
