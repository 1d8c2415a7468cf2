//go:build linux

package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

const patience = time.Minute

// What a client of any node publishes comes to every client once.
func TestNodesShareTheirClients(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options{addr: free.Addr().String(), nodes: 3}
	_ = free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ready, over := make(chan struct{}), make(chan error, 1)
	go func() { over <- o.run(ctx, func() { close(ready) }) }()
	defer func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ready:
	case err := <-over:
		over <- nil
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("the nodes are not ready")
	}
	const clients = 12
	got := make(chan string, clients*clients+1)
	var all []*engine.WebSocket
	for range clients {
		ctx, cancel := context.WithTimeout(ctx, patience)
		ws, err := engine.Dial(ctx, "ws://"+o.addr, &engine.DialOptions{Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
		}})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		if err := ws.SendText("subscribed"); err != nil { // comes back when it is
			t.Fatal(err)
		}
		<-got
		all = append(all, ws)
	}
	for _, ws := range all {
		if err := ws.SendText("B"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range clients * clients {
		select {
		case <-got:
		case <-time.After(patience):
			t.Fatalf("%d messages came of %d", i, clients*clients)
		}
	}
}
