// Command load opens many connections to a server that echoes, sends messages at a steady
// rate, and reports what came back and how late.
//
//	load -conns 10000 -rate 5000 -for 30s ws://localhost:9001/
//
// It shows Dial on a few loops that all connections share (loop.Group), callbacks that are
// set once for all of them, sends from another goroutine, and how to tell refusals
// (StatusError) from lost connections (CloseCause). Each connection takes a descriptor:
// see ulimit -n.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"time"
)

func main() {
	var l load
	flag.IntVar(&l.conns, "conns", 100, "how many connections")
	flag.IntVar(&l.loops, "loops", 1, "how many event loops they share")
	flag.IntVar(&l.rate, "rate", 1000, "messages a second, of all connections together")
	flag.IntVar(&l.size, "size", 64, "bytes of a message, at least 8")
	length := flag.Duration("for", 10*time.Second, "how long to send")
	flag.Parse()
	if l.url = flag.Arg(0); l.url == "" || l.conns < 1 || l.loops < 1 || l.rate < 1 || l.size < 8 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := l.open(ctx); err != nil {
		log.Fatal(err)
	}
	sending, cancel := context.WithTimeout(ctx, *length)
	defer cancel()
	l.send(sending)
	l.await(ctx)
	if err := l.close(); err != nil {
		log.Fatal(err)
	}
	l.report(os.Stdout)
}
