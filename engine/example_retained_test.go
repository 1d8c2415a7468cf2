package engine_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/engine"
)

// subscribed dials srv and returns what its connection receives.
func subscribed(srv *engine.Server) (*engine.WebSocket, <-chan string) {
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	heard := make(chan string, 10)
	ws, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { heard <- string(text) }},
	})
	if err != nil {
		panic(err)
	}
	return ws, heard
}

// A price feed: whoever joins gets the last price of each symbol first.
func ExampleMessage_retain() {
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.Subscribe("prices")
	}}
	defer srv.Close()
	prices := srv.Topic("prices")
	price := func(symbol, price string) {
		_, _ = prices.Publish(engine.Message{Op: engine.Text, Data: []byte(symbol + " " + price), Key: symbol, Retain: true})
	}
	price("AAA", "1.00")
	price("BBB", "7.50")
	price("AAA", "1.01")

	_, heard := subscribed(srv)
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	price("BBB", "7.60")
	fmt.Println(<-heard)
	// Output:
	// BBB 7.50
	// AAA 1.01
	// BBB 7.60
}

// A snapshot after a gap: a connection that lost messages gets the last values again.
func ExampleCallbacks_onGap() {
	srv := &engine.Server{
		Slow: engine.Slow{Policy: engine.SlowDropNewest},
		Callbacks: engine.Callbacks{
			OnGap:  func(ws *engine.WebSocket, topic string, _ uint64) { _ = ws.Resubscribe(topic) },
			OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Subscribe(string(text)) },
		},
	}
	_ = srv.Topic("score").SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}) // so that messages get lost
	defer srv.Close()
	ws, heard := subscribed(srv)
	score := func(text string) engine.Delivery {
		d, _ := srv.Publish("score", engine.Message{Op: engine.Text, Data: []byte(text), Retain: true})
		return d
	}
	score("0:0")
	_ = ws.SendText("score")
	fmt.Println(<-heard)

	srv.Topic("score").FlushEvery(1 << 62) // the loop is behind
	score("1:0")
	fmt.Println("lost:", score("1:1").Dropped)
	srv.Topic("score").FlushEvery(0)
	for text := range heard {
		if fmt.Println(text); text == "1:1" {
			break
		}
	}
	// Output:
	// 0:0
	// lost: 1
	// 1:0
	// 1:1
}

// Who may subscribe: everyone to news, each user to messages of their own.
func ExampleServer_maySubscribe() {
	errForbidden := errors.New("not your topic")
	srv := &engine.Server{
		ShouldUpgrade: nil, // it would find the user by a cookie or a token
		MaySubscribe: func(ws *engine.WebSocket, topic string) error {
			if user := engine.Get[string](ws); topic != "news" && topic != "user/"+user {
				return errForbidden
			}
			return nil
		},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { engine.Set(ws, "ann") },
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, topic []byte) {
			if err := ws.Subscribe(string(topic)); err != nil {
				_ = ws.SendText(fmt.Sprintf("%s: %v", topic, err))
				return
			}
			_ = ws.SendText(fmt.Sprintf("%s: subscribed", topic))
		}},
	}
	defer srv.Close()
	ws, heard := subscribed(srv)
	for _, topic := range []string{"news", "user/ann", "user/ben"} {
		_ = ws.SendText(topic)
		fmt.Println(<-heard)
	}
	// Output:
	// news: subscribed
	// user/ann: subscribed
	// user/ben: not your topic
}
