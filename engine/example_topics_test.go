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
