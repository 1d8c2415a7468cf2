package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// atRest waits until the loop of ws has done what was asked of it so far.
func atRest(t *testing.T, ws *engine.WebSocket) {
	t.Helper()
	done := make(chan struct{})
	if err := ws.Do(func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	within(t, "the loop", done)
}

func TestNothingIsDeliveredWhilePausedAndNothingIsLost(t *testing.T) {
	const messages = 100
	got := make(chan string, messages+1)
	opened := make(chan *engine.WebSocket, 1)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			ws.PauseReading()
			got <- string(text)
		}},
	})
	c := openRaw(t, addr)
	ws := within(t, "OnUpgrade", opened)
	var all strings.Builder
	for i := range messages {
		switch text := fmt.Sprintf("message %d", i); {
		case i%3 == 0: // in fragments, so that the reader holds something
			all.WriteString(frame(0x01, text[:4]) + frame(0x80, text[4:]))
		default:
			all.WriteString(frame(0x81, text))
		}
	}
	octets := all.String()
	c.send(octets[:len(octets)-5]) // one read
	for i := range messages - 1 {
		if text := within(t, "a message", got); text != fmt.Sprintf("message %d", i) {
			t.Fatalf("message %d: %q", i, text)
		}
		atRest(t, ws)
		if len(got) != 0 {
			t.Fatalf("while paused after message %d: %q", i, <-got)
		}
		if i == messages/2 { // more arrives while paused
			c.send(octets[len(octets)-5:] + frame(0x81, "after"))
			atRest(t, ws)
		}
		ws.ResumeReading()
	}
	for _, want := range []string{fmt.Sprintf("message %d", messages-1), "after"} {
		if text := within(t, "a message", got); text != want {
			t.Fatalf("got %q, want %q", text, want)
		}
		ws.ResumeReading()
	}
}

func TestPingsAreNotAnsweredWhilePaused(t *testing.T) {
	opened, paused := make(chan *engine.WebSocket, 1), make(chan bool, 1)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) { ws.PauseReading(); paused <- true }},
	})
	c := openRaw(t, addr)
	ws := within(t, "OnUpgrade", opened)
	c.send(frame(0x81, "pause") + frame(0x89, "one"))
	within(t, "the pause", paused)
	atRest(t, ws)
	if err := ws.SendText("sent while paused"); err != nil {
		t.Fatal(err)
	}
	c.wantMessage(engine.Text, "sent while paused")
	ws.ResumeReading()
	c.wantMessage(codec.Pong, "one")
}

// What the loop has read when the pause begins is bound; the rest is TCP's.
func TestPausedConnectionTakesNoMemory(t *testing.T) {
	const sent = 1 << 30 // more than any kernel buffers
	opened := make(chan *engine.WebSocket, 1)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnBinary: func(ws *engine.WebSocket, _ []byte) { ws.PauseReading() }},
	})
	c := openRaw(t, addr)
	ws := within(t, "OnUpgrade", opened)
	before, _ := liveHeap()
	part := []byte(frame(0x82, string(pattern(1000))))
	stop := make(chan struct{})
	written := make(chan int, 1)
	go func() {
		n := 0
		defer func() { written <- n }()
		for n < sent {
			m, err := c.Write(part)
			if n += m; err != nil {
				return
			}
		}
		close(stop)
	}()
	for range 20 {
		atRest(t, ws)
	}
	after, _ := liveHeap()
	if grown := int64(after) - int64(before); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes while reading is paused", grown)
	}
	select {
	case <-stop:
		t.Error("the kernel took all of it: reading was not paused")
	default:
	}
	_ = c.Close()
	<-written
}
