package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

func TestPublishesAndSendsOfOneGoroutineKeepTheirOrder(t *testing.T) {
	const clients, rounds = 20, 200
	joined := make(chan *engine.WebSocket, clients)
	srv := &engine.Server{Loops: 2, OnUpgrade: func(ws *engine.WebSocket, _ *handshake.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		joined <- ws
	}}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	got := make(chan error, clients)
	for range clients {
		next := 0
		_, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
			Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) {
				if want := fmt.Sprint(next); string(text) != want {
					got <- fmt.Errorf("got %q, want %q", text, want)
				}
				if next++; next == 3*rounds {
					got <- nil
				}
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []*engine.WebSocket
	for range clients {
		all = append(all, <-joined)
	}
	for i := range rounds {
		for j := range 2 {
			d, err := srv.Publish("room", engine.Text, fmt.Append(nil, 3*i+j))
			if err != nil || d.Queued != clients {
				t.Fatalf("publish: %+v, %v", d, err)
			}
		}
		for _, ws := range all {
			if err := ws.SendText(fmt.Sprint(3*i + 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range clients {
		if err := <-got; err != nil {
			t.Fatal(err)
		}
	}
}
