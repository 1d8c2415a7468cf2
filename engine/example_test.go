package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// Sending, and receiving text.
func Example() {
	srv := &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			ws.OnText(func(ws *engine.WebSocket, text []byte) {
				_ = ws.SendText("you said " + string(text))
			})
		},
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	answer := make(chan string, 1)
	ws, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { answer <- string(text) },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ws.SendText("hello")
	fmt.Println(<-answer)
	_ = ws.Close(engine.StatusNormalClosure, "")
	<-ws.Done()
	// Output: you said hello
}

// Both sides have to ask for compression, and each may refuse context takeover:
// here the server keeps no context of the client.
func ExampleCompression() {
	srv := &engine.Server{Compression: &engine.Compression{ServerContextTakeover: true}}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ws, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		Compression: &engine.Compression{
			ServerContextTakeover: true,
			ClientContextTakeover: true,
			ServerMaxWindowBits:   12, // 4 KiB
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ws.Extensions())
	_ = ws.Close(engine.StatusNormalClosure, "")
	<-ws.Done()
	// Output: permessage-deflate; client_no_context_takeover; server_max_window_bits=12
}

// A server that refuses some requests, greets, and echoes text in capitals.
func ExampleServer() {
	srv := &engine.Server{
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Path() == "/deny" {
				return nil, engine.Reject(http.StatusForbidden, "not here")
			}
			return http.Header{"X-Served-By": {"fanloop"}}, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			_ = ws.SendText("Connected")
			ws.OnText(func(ws *engine.WebSocket, text []byte) {
				_ = ws.Send(engine.Text, bytes.ToUpper(text))
			})
		},
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = engine.Dial(context.Background(), "ws://"+addr.String()+"/deny", nil)
	var refused *engine.StatusError
	if errors.As(err, &refused) {
		fmt.Println("denied:", refused.Status)
	}

	received := make(chan string, 2)
	ws, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { received <- string(text) },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-received)
	_ = ws.SendText("abc")
	fmt.Println(<-received)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println("shutdown:", srv.Shutdown(ctx))
	<-ws.Done()
	code, _ := ws.CloseStatus()
	fmt.Println("closed:", uint16(code))
	// Output:
	// denied: 403
	// Connected
	// ABC
	// shutdown: <nil>
	// closed: 1001
}

// A client that prints the echo and waits for the end.
func ExampleDial() {
	srv := &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	}}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ws, err := engine.Dial(context.Background(), "ws://"+addr.String()+"/", &engine.DialOptions{
		OnUpgrade: func(ws *engine.WebSocket) {
			ws.OnText(func(ws *engine.WebSocket, text []byte) {
				fmt.Println("echo:", string(text))
				_ = ws.Close(engine.StatusNormalClosure, "thanks")
			})
			ws.OnClose(func(_ *engine.WebSocket, code engine.StatusCode, _ string) {
				fmt.Println("closed:", uint16(code))
			})
			_ = ws.SendText("hello")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-ws.Done()
	// Output:
	// echo: hello
	// closed: 1000
}
