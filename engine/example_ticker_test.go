//go:build (linux || darwin || freebsd) && !portable

// The portable backend has a socket that a goroutine empties: nobody would be slow here.

package engine_test

import (
	"context"
	"fmt"

	"github.com/fanloop-go/fanloop/engine"
)

// A ticker: whoever reads too slowly gets the latest price of each symbol, and
// not the ones before it.
func ExampleMessage_key() {
	joined := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{
		Loops: 1,
		Slow:  engine.Slow{Policy: engine.SlowConflate, Limit: 8 << 20},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			if err := ws.Subscribe("prices"); err != nil {
				return // gone already
			}
			joined <- ws
		},
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	closing := make(chan struct{}, 1)
	latest := make(map[string]string)
	client, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) {
				var symbol, price string
				if _, err := fmt.Sscan(string(text), &symbol, &price); err != nil {
					fmt.Println(err)
				}
				if latest[symbol] = price; symbol == "CLOSING" {
					closing <- struct{}{}
				}
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ws := <-joined
	client.PauseReading() // a slow subscriber
	for ws.Buffered() < 1<<20 {
		_ = ws.SendBinary(make([]byte, 64<<10)) // until the network is full
	}

	var sum engine.Delivery
	for tick := range 1000 {
		for _, symbol := range []string{"AAA", "BBB"} {
			price := fmt.Appendf(nil, "%s %d.00", symbol, tick)
			d, err := srv.Publish("prices", engine.Message{Op: engine.Text, Data: price, Key: symbol})
			if err != nil {
				fmt.Println(err)
			}
			sum.Queued += d.Queued
			sum.Conflated += d.Conflated
		}
		await(ws) // the loop looks at every tick by itself
	}
	fmt.Println("queued:", sum.Queued, "conflated:", sum.Conflated)
	_, _ = srv.Publish("prices", engine.TextMessage("CLOSING bell"))
	client.ResumeReading()
	<-closing
	fmt.Println("AAA", latest["AAA"], "BBB", latest["BBB"])
	// Output:
	// queued: 2 conflated: 1998
	// AAA 999.00 BBB 999.00
}
