package engine_test

import (
	"bytes"
	"errors"
	"io"
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
			addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{PingInterval: soon, PongTimeout: patience}})
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
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{PingInterval: soon, IdleTimeout: 5 * soon, PongTimeout: patience}})
	pings := 0
	idle := func() bool {
		c := openRaw(t, addr)
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
		c.wantEOF()
		_ = c.Close()
		if got := within(t, "OnClose", ended); got.code != engine.StatusGoingAway || !errors.Is(got.err, engine.ErrIdleTimeout) {
			t.Errorf("ended with %+v", got)
		}
		return pings > 0
	}
	eventually(t, "a ping before the idle timeout", idle) // a loop that is held up finds both due
}

func TestMessagesKeepAConnectionFromBeingIdle(t *testing.T) {
	const timeout = 500 * time.Millisecond
	eventually(t, "a machine that runs the test in time", func() bool {
		cb, ended := record(echo)
		addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{IdleTimeout: timeout}})
		busy, idle := openRaw(t, addr), openRaw(t, addr)
		done := make(chan engine.StatusCode, 1)
		go func() {
			code, _ := idle.readClose()
			done <- code
		}()
		sent := time.Now()
		for {
			before := sent
			sent = time.Now()
			_, _ = io.WriteString(busy, frame(0x81, "busy")) // the answer tells
			h, text, err := busy.readFrame()
			silence := time.Since(before) // at most
			if err != nil || h.OpCode != engine.Text || string(text) != "busy" {
				if silence < timeout/2 {
					t.Fatalf("got %v %q, %v after %v without a message at most", h.OpCode, text, err, silence)
				}
				within(t, "the end of the idle one", done)
				return false
			}
			if len(done) == 0 {
				continue
			}
			_ = idle.Close()
			if got := within(t, "OnClose", ended); !errors.Is(got.err, engine.ErrIdleTimeout) {
				t.Errorf("ended with %+v", got)
			}
			return true
		}
	})
}

func TestKeepaliveCanBeTurnedOff(t *testing.T) {
	off := engine.Limits{PingInterval: -1, WriteTimeout: -1, MaxControlRate: -1, MaxFragments: -1, MaxMessage: -1, MaxQueued: -1}
	c := openRaw(t, listen(t, &engine.Server{Callbacks: echo, Limits: off}))
	c.send(frame(0x82, string(pattern(2<<20))))
	c.wantMessage(engine.Binary, string(pattern(2<<20)))
}
