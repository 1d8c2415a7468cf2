package engine_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/fanloop-go/fanloop/engine"
)

// A chat with rooms: the path is the room, what one says all others in it hear.
func ExampleWebSocket_Publish() {
	srv := &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			room := req.Path()
			if err := ws.Subscribe(room); err != nil {
				return // gone already
			}
			ws.OnText(func(ws *engine.WebSocket, text []byte) {
				_, _ = ws.Publish(room, engine.TextMessage(text))
			})
			ws.OnClose(func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
				_, _ = ws.Publish(room, engine.TextMessage("somebody left"))
			})
			_ = ws.SendText("welcome to " + room)
		},
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	enter := func(room string) (*engine.WebSocket, <-chan string) {
		heard := make(chan string, 10)
		ws, err := engine.Dial(context.Background(), "ws://"+addr.String()+room, &engine.DialOptions{
			Callbacks: engine.Callbacks{
				OnText: func(_ *engine.WebSocket, text []byte) { heard <- string(text) },
			},
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(<-heard)
		return ws, heard
	}
	ann, _ := enter("/go")
	_, ben := enter("/go")
	_, eve := enter("/cooking")

	_ = ann.SendText("hello")
	fmt.Println("ben hears:", <-ben)
	_ = ann.Close(engine.StatusNormalClosure, "")
	fmt.Println("ben hears:", <-ben)
	fmt.Println("eve heard", len(eve), "messages")
	// Output:
	// welcome to /go
	// welcome to /go
	// welcome to /cooking
	// ben hears: hello
	// ben hears: somebody left
	// eve heard 0 messages
}

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

// await returns when the loop of ws has done what was asked of it before.
func await(ws *engine.WebSocket) {
	done := make(chan struct{})
	if ws.Do(func() { close(done) }) == nil {
		<-done
	}
}

// A download that goes at the pace of its reader: it stops when much is queued,
// and OnDrain goes on with it.
func ExampleWebSocket_OnDrain() {
	const total, piece = 64 << 20, 64 << 10
	var most int // bytes queued, seen by the loop
	var once sync.Once
	finished := make(chan struct{})
	srv := &engine.Server{
		Loops:  1,
		Limits: engine.Limits{HighWater: 1 << 20, LowWater: 256 << 10},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			sent := 0
			send := func(ws *engine.WebSocket) {
				for sent < total && ws.Buffered() <= 1<<20 {
					if err := ws.SendFragment(engine.Binary, make([]byte, piece), sent+piece == total); err != nil {
						return // gone
					}
					sent += piece
					most = max(most, ws.Buffered())
				}
				if sent == total {
					once.Do(func() { close(finished) })
				}
			}
			ws.OnDrain(send)
			send(ws)
		},
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	received := make(chan int, 1)
	n := 0
	_, err = engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		Callbacks: engine.Callbacks{
			OnFragment: func(_ *engine.WebSocket, _ engine.OpCode, p []byte, fin bool) {
				if n += len(p); fin {
					received <- n
				}
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("received", <-received>>20, "MiB")
	<-finished
	fmt.Println("little of it was queued:", most < 2<<20)
	// Output:
	// received 64 MiB
	// little of it was queued: true
}
