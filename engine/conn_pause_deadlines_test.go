package engine_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// A peer whose pongs are not read is not a peer that does not answer.
func TestPausedReadingIsNoPongOrIdleTimeout(t *testing.T) {
	opened, got := make(chan *engine.WebSocket, 2), make(chan string, 1)
	srv := &engine.Server{
		Loops: 1,
		Limits: engine.Limits{
			PingInterval: 10 * time.Millisecond, PongTimeout: 10 * time.Millisecond,
			IdleTimeout: 30 * time.Millisecond,
		},
		Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
		},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			ws.PauseReading()
			opened <- ws
		},
	}
	addr := listen(t, srv)
	paused := openRaw(t, addr)
	paused.send(testkit.Masked(engine.Text, "held"))
	ws := within(t, "the paused connection", opened)

	// A dialed connection counts the time: its own timeouts come again and again.
	for range 5 {
		clock := dialEngine(t, addr, &engine.DialOptions{Limits: engine.Limits{
			PingInterval: 10 * time.Millisecond, PongTimeout: 10 * time.Millisecond,
		}})
		within(t, "the clock", opened)
		within(t, "a pong timeout", clock.Done())
		if err := clock.Err(); err != engine.ErrPongTimeout {
			t.Fatalf("the clock ended with %v", err)
		}
	}
	select {
	case text := <-got:
		t.Fatalf("%q came while reading was paused", text)
	default:
	}
	if err := ws.Err(); err != nil {
		t.Fatal("the paused connection ended:", err)
	}
	ws.ResumeReading()
	if text := within(t, "the held message", got); text != "held" {
		t.Errorf("got %q", text)
	}
}

func TestPauseAfterCloseDoesNotHoldTheClosingHandshake(t *testing.T) {
	closed := make(chan error, 1)
	srv := &engine.Server{
		Limits: engine.Limits{CloseTimeout: time.Hour},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			if err := ws.Close(engine.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
			ws.PauseReading()
		},
		Callbacks: engine.Callbacks{OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
			closed <- ws.Err()
		}},
	}
	c := openRaw(t, listen(t, srv))
	if code, _ := c.readClose(); code != engine.StatusNormalClosure {
		t.Errorf("close code %d", uint16(code))
	}
	c.send(testkit.Masked(codec.Close, ""))
	c.wantEOF()
	_ = c.Close()
	if err := within(t, "the end", closed); err != nil {
		t.Error("ended with", err)
	}
}

// Whatever the order in which several goroutines pause and resume: after the
// last ResumeReading everything comes, in order.
func TestPausesAndResumesMayRace(t *testing.T) {
	const messages = 3000
	opened, all := make(chan *engine.WebSocket, 1), make(chan struct{})
	next := uint32(0) // of the one loop
	srv := &engine.Server{
		Loops:     1,
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnBinary: func(ws *engine.WebSocket, data []byte) {
			if got := binary.BigEndian.Uint32(data); got != next {
				t.Errorf("message %d came, want %d", got, next)
			}
			if next++; next == messages {
				close(all)
			}
			if next%7 == 0 {
				ws.PauseReading()
			}
		}},
	}
	c := openRaw(t, listen(t, srv))
	ws := within(t, "the connection", opened)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range uint32(messages) {
			c.sendFrame(engine.Binary, true, binary.BigEndian.AppendUint32(nil, i))
		}
	}()
	var busy sync.WaitGroup
	for i := range 4 {
		busy.Go(func() {
			for {
				select {
				case <-sent:
					return
				default:
				}
				if i%2 == 0 {
					ws.PauseReading()
				}
				ws.ResumeReading()
			}
		})
	}
	busy.Wait()
	for done := false; !done; { // the callback pauses too
		ws.ResumeReading()
		select {
		case <-all:
			done = true
		case <-time.After(time.Millisecond):
		}
	}
}
