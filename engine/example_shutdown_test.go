package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// The main function of a server that ends in order on SIGTERM: clients get 1001 (going
// away) and have ten seconds to answer.
func ExampleServer_Run() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	srv := &engine.Server{Addr: "127.0.0.1:0"}
	time.AfterFunc(time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) }) // as systemd does
	if err := srv.Run(ctx, 10*time.Second); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended in order")
	// Output: ended in order
}

// A server that ends in order on SIGTERM: clients get 1012 (service restart) and have
// ten seconds to answer.
func ExampleServer_ShutdownWith() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	srv := new(engine.Server)
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	client, err := engine.Dial(context.Background(), "ws://"+ln.String(), &engine.DialOptions{
		OnUpgrade: func(*engine.WebSocket) { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) }, // as systemd does
	})
	if err != nil {
		log.Fatal(err)
	}

	<-ctx.Done()
	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.ShutdownWith(deadline, engine.StatusServiceRestart, "back soon"); err != nil {
		log.Print(err) // how many were dropped
	}
	<-client.Done()
	fmt.Println(client.CloseStatus())
	// Output: 1012 service restart back soon
}

// What a monitoring system scrapes: how many connections have ended, by cause.
func ExampleStats() {
	srv := new(engine.Server)
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		ws, err := engine.Dial(context.Background(), "ws://"+ln.String(), nil)
		if err != nil {
			log.Fatal(err)
		}
		_ = ws.Close(engine.StatusNormalClosure, "") // a code that may be sent
		<-ws.Done()
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}

	var lines []string
	for cause, n := range srv.Stats().Ended {
		lines = append(lines, fmt.Sprintf("websocket_ended_total{cause=%q} %d", cause, n))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	// Output: websocket_ended_total{cause="normal"} 3
}

// A connection lives as long as its token; a fresh token extends it.
func ExampleWebSocket_CloseAt() {
	type token struct{ expires time.Time }
	verify := func(text string) token { // ask your token service
		if text == "fresh" {
			return token{time.Now().Add(time.Hour)}
		}
		return token{time.Now()}
	}
	extend := func(ws *engine.WebSocket, text []byte) {
		t := verify(string(text))
		engine.Set(ws, t)
		_ = ws.CloseAt(t.expires, engine.StatusPolicyViolation, "token expired") // a code that may be sent
		_ = ws.SendText("until " + map[bool]string{true: "later", false: "now"}[time.Until(t.expires) > 0])
	}
	srv := &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) { extend(ws, []byte(req.Header("Token"))) },
		Callbacks: engine.Callbacks{OnText: extend},
	}
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = srv.Close() }() // nothing to say at the end

	ws, err := engine.Dial(context.Background(), "ws://"+ln.String(), &engine.DialOptions{
		Header:    map[string][]string{"Token": {"fresh"}},
		Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { fmt.Println(string(text)) }},
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = ws.SendText("fresh")
	_ = ws.SendText("stale")
	<-ws.Done()
	fmt.Println(ws.CloseStatus())
	// Output:
	// until later
	// until later
	// until now
	// 1008 policy violation token expired
}
