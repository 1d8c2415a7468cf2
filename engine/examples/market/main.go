// Command market is a feed of order books. A client names the markets that it wants, gets
// the last book of every symbol there, and then each change.
//
//	market -addr localhost:8080
//	fanloop dial --compression on ws://localhost:8080/feed
//	{"subscribe":"metals"}
//
// It shows subscriptions by message with a permission (Server.MaySubscribe), retained
// messages by key as the snapshot of a new subscriber, SlowConflate and OnGap for clients
// that do not keep up, compression once for all, and metrics from Server.Stats beside the
// feed. The books are made up.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

var symbols = map[string][]string{
	"metals": {"copper", "gold", "silver"},
	"energy": {"gas", "oil"},
}

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	every := flag.Duration("every", 100*time.Millisecond, "how often a book changes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m := newMarkets(symbols)
	ln, err := m.srv.Listen(*addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Println("serving", ln)
	go m.trade(ctx, *every)
	if err := m.srv.Run(ctx, 10*time.Second); err != nil {
		log.Fatal(err)
	}
}
