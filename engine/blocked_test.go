package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// R18
func TestBlockingCallbackIsReportedAndHoldsUpNoOtherLoop(t *testing.T) {
	log, book := newLog()
	entered, blocked := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	names := make(chan string, 1)
	srv := &engine.Server{
		Loops:     2,
		Logger:    log,
		OnUpgrade: func(*engine.WebSocket, *handshake.Request) { names <- currentLoop() },
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			if string(text) == "block" {
				close(entered)
				<-blocked
			}
			_ = ws.Send(engine.Text, text)
		}},
	}
	addr := listen(t, srv)
	first := openRaw(t, addr)
	name := within(t, "OnUpgrade", names)
	other := openRaw(t, addr)
	for within(t, "OnUpgrade", names) == name {
		other = openRaw(t, addr)
	}
	first.send(masked(engine.Text, "block"))
	within(t, "the callback", entered)
	eventually(t, "it is reported", func() bool {
		other.exchange("meanwhile")
		return book.count("a callback blocks its loop") > 0
	})
	release()
	first.wantMessage(engine.Text, "block")
	first.exchange("again")
}

// The pongs that came while a callback held up their loop count, although the
// loop looks at the clock before it has read them all.
func TestLoopThatWasHeldUpDropsNobody(t *testing.T) {
	const clients = 300 // more than one batch of events
	const pingInterval, pongTimeout = 200 * time.Millisecond, 2 * time.Second
	entered, blocked := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	srv := &engine.Server{
		Loops:  1,
		Limits: engine.Limits{PingInterval: pingInterval, PongTimeout: pongTimeout},
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			if string(text) == "block" {
				close(entered)
				<-blocked
			}
			_ = ws.Send(engine.Text, text)
		}},
	}
	addr := listen(t, srv)
	conns := make([]*rawClient, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
	}
	for _, c := range conns {
		c.wantMessage(codec.Ping, "")
	}
	conns[0].send(masked(engine.Text, "block"))
	within(t, "the callback", entered)
	for i, c := range conns {
		c.send(masked(codec.Pong, "") + masked(engine.Text, fmt.Sprint("from ", i)))
	}
	time.Sleep(pingInterval + pongTimeout) // the clock of a loop cannot be driven
	release()
	for i, c := range conns {
		for {
			h, got, err := c.readFrame()
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			if h.OpCode == engine.Text && string(got) == fmt.Sprint("from ", i) {
				break
			}
		}
	}
}
