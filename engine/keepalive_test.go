package engine_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

const soon = 20 * time.Millisecond

func TestPingComesBackAsPong(t *testing.T) {
	pinged, ponged := make(chan string, 1), make(chan string, 1)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnPing: func(_ *engine.WebSocket, p []byte) { pinged <- string(p) },
	}})
	ws := dialEngine(t, addr, &engine.DialOptions{Callbacks: engine.Callbacks{
		OnPong: func(_ *engine.WebSocket, p []byte) { ponged <- string(p) },
	}})
	for _, payload := range []string{"", "are you there", string(pattern(125))} {
		if err := ws.Ping([]byte(payload)); err != nil {
			t.Fatal(err)
		}
		if got := within(t, "OnPing", pinged); got != payload {
			t.Errorf("OnPing got %q, want %q", got, payload)
		}
		if got := within(t, "OnPong", ponged); got != payload {
			t.Errorf("OnPong got %q, want %q", got, payload)
		}
	}
	if err := ws.Ping(pattern(126)); !errors.Is(err, engine.ErrControlTooLong) {
		t.Errorf("Ping of 126 bytes returned %v, want ErrControlTooLong", err)
	}
}

func TestServerPingsAndGorillaAnswers(t *testing.T) {
	ponged := make(chan string, 1)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Ping(text) },
		OnPong: func(_ *engine.WebSocket, p []byte) { ponged <- string(p) },
	}})
	conn := dialGorilla(t, addr, nil)
	if err := conn.WriteMessage(1, []byte("and you?")); err != nil {
		t.Fatal(err)
	}
	go func() { _, _, _ = conn.ReadMessage() }() // answers pings
	if got := within(t, "OnPong", ponged); got != "and you?" {
		t.Errorf("OnPong got %q", got)
	}
}

func TestSilentPeerIsPingedAndThenDropped(t *testing.T) {
	cb, ended := record(echo)
	failures := make(chan error, 4)
	cb.OnError = func(_ *engine.WebSocket, err error) { failures <- err }
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{PingInterval: soon, PongTimeout: 2 * soon}})
	c := openRaw(t, addr)
	c.wantFrame(codec.Ping, true, "")
	wantEnding(t, ended, engine.StatusAbnormalClosure, "", engine.ErrPongTimeout)
	if err := within(t, "OnError", failures); !errors.Is(err, engine.ErrPongTimeout) {
		t.Errorf("OnError was told %v", err)
	}
	c.wantGone()
}

// Any byte is a sign of life: a pong, a message, a part of a frame.
func TestPeerThatAnswersStays(t *testing.T) {
	for name, answer := range map[string]string{
		"pong":    frame(0x8a, ""),
		"message": frame(0x82, ""),
		"byte":    "",
	} {
		t.Run(name, func(t *testing.T) {
			cb, ended := record(engine.Callbacks{})
			addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{PingInterval: soon, PongTimeout: 10 * time.Second}})
			c := openRaw(t, addr)
			long := frame(0x82, "0123456789")
			for i := range 6 { // a ping comes again only after a sign of life
				c.wantFrame(codec.Ping, true, "")
				if answer == "" {
					c.send(long[i : i+1])
				} else {
					c.send(answer)
				}
			}
			select {
			case e := <-ended:
				t.Errorf("ended with %+v", e)
			default:
			}
		})
	}
}

func TestClientThatPongsButSaysNothingIsIdle(t *testing.T) {
	cb, ended := record(engine.Callbacks{})
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{PingInterval: soon, IdleTimeout: 5 * soon}})
	c := openRaw(t, addr)
	pings := 0
	for {
		h, p, err := c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.OpCode == codec.Close {
			if !bytes.HasPrefix(p, []byte(closePayload(1001, ""))) {
				t.Errorf("close frame % x, want 1001", p)
			}
			break
		}
		pings++
		c.send(frame(0x8a, ""))
	}
	if pings == 0 {
		t.Error("no ping came before the idle timeout")
	}
	c.wantEOF()
	_ = c.Close()
	if got := within(t, "OnClose", ended); got.code != engine.StatusGoingAway || !errors.Is(got.err, engine.ErrIdleTimeout) {
		t.Errorf("ended with %+v", got)
	}
}

func TestMessagesKeepAConnectionFromBeingIdle(t *testing.T) {
	cb, ended := record(echo)
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{IdleTimeout: 500 * time.Millisecond}})
	busy, idle := openRaw(t, addr), openRaw(t, addr)
	var goneAfter int
	done := make(chan struct{})
	go func() {
		defer close(done)
		idle.readClose()
	}()
	for open := true; open; goneAfter++ {
		busy.send(frame(0x81, "busy"))
		busy.wantMessage(engine.Text, "busy")
		select {
		case <-done:
			open = false
		default:
		}
	}
	_ = idle.Close()
	if got := within(t, "OnClose", ended); !errors.Is(got.err, engine.ErrIdleTimeout) {
		t.Errorf("ended with %+v", got)
	}
	busy.send(frame(0x81, "still here"))
	busy.wantMessage(engine.Text, "still here")
}

func TestKeepaliveCanBeTurnedOff(t *testing.T) {
	off := engine.Limits{PingInterval: -1, WriteTimeout: -1, MaxControlRate: -1, MaxFragments: -1, MaxMessage: -1, MaxQueued: -1}
	c := openRaw(t, listen(t, &engine.Server{Callbacks: echo, Limits: off}))
	c.send(frame(0x82, string(pattern(2<<20))))
	c.wantMessage(engine.Binary, string(pattern(2<<20)))
}
