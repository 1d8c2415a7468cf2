package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
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
		OnUpgrade: func(*engine.WebSocket, *engine.Request) { names <- currentLoop() },
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
	first.send(testkit.Masked(engine.Text, "block"))
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
	const pongTimeout = 100 * time.Millisecond
	entered, blocked := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	opened, everyone := make(chan *engine.WebSocket, 1), make(chan []*engine.WebSocket, 1)
	srv := &engine.Server{
		Loops: 1,
		// No ping but those of the test, which leave when their answers cannot be
		// late.
		Limits:    engine.Limits{PingInterval: time.Hour, PongTimeout: pongTimeout},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			if string(text) == "block" {
				for _, ws := range <-everyone {
					engine.Pinged(ws)
				}
				close(entered)
				<-blocked
			}
			_ = ws.Send(engine.Text, text)
		}},
	}
	addr := listen(t, srv)
	conns, sockets := make([]*rawClient, clients), make([]*engine.WebSocket, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
		sockets[i] = within(t, "OnUpgrade", opened)
	}
	everyone <- sockets
	conns[0].send(testkit.Masked(engine.Text, "block"))
	within(t, "the callback", entered)
	for i, c := range conns {
		c.send(testkit.Masked(codec.Pong, "") + testkit.Masked(engine.Text, fmt.Sprint("from ", i)))
	}
	time.Sleep(2 * pongTimeout) // the clock of a loop cannot be driven
	release()
	conns[0].wantMessage(engine.Text, "block")
	for i, c := range conns {
		c.wantMessage(engine.Text, fmt.Sprint("from ", i))
	}
}
