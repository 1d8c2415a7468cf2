package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// serve runs one server of a cluster and returns its address.
func serve(name string, bus cluster.Bus) (addr string, r *relay.Relay, end func(), err error) {
	srv := &engine.Server{Logger: slog.New(slog.DiscardHandler)}
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.Subscribe("room") // what is wrong is known to the client by the end
		_ = ws.SendText("welcome to " + name)
	}
	srv.Callbacks.OnText = func(ws *engine.WebSocket, text []byte) {
		_, _ = srv.Publish("room", engine.TextMessage(text))
	}
	srv.Callbacks.OnGap = func(ws *engine.WebSocket, topic string, _ uint64) {
		_ = ws.SendText("load " + topic + " anew")
	}
	if r, err = relay.Join(srv, bus, relay.Config{}); err != nil {
		return "", nil, nil, err
	}
	listening, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		r.Close()
		return "", nil, nil, err
	}
	return listening.String(), r, func() { _ = srv.Close(); r.Close() }, nil
}

// Three servers, a client on each: what one client sends, all of them get.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	got := make(chan string, 10)
	var clients []*engine.WebSocket
	for _, name := range []string{"one", "two", "three"} {
		addr, r, end, err := serve(name, store.Connect())
		if err != nil {
			fmt.Println(err)
			return
		}
		defer end()
		ws, err := engine.Dial(context.Background(), "ws://"+addr, &engine.DialOptions{Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
		}})
		if err != nil {
			fmt.Println(err)
			return
		}
		clients = append(clients, ws)
		fmt.Println(<-got)
		for r.Stats().Topics == 0 { // or OnGap would be called for what is sent before
			time.Sleep(time.Millisecond)
		}
	}
	if err := clients[0].SendText("hello, all of you"); err != nil {
		fmt.Println(err)
		return
	}
	for range clients {
		fmt.Println(<-got)
	}
	// Output:
	// welcome to one
	// welcome to two
	// welcome to three
	// hello, all of you
	// hello, all of you
	// hello, all of you
}
