package engine_test

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// methods are all methods of a WebSocket that any goroutine may call, with the
// error they must return once it has ended.
func methods(t *testing.T) map[string]func(ws *engine.WebSocket) error {
	prepared, err := engine.Prepare(engine.Text, []byte("prepared"))
	if err != nil {
		t.Fatal(err)
	}
	quiet := func(fn func(ws *engine.WebSocket)) func(ws *engine.WebSocket) error {
		return func(ws *engine.WebSocket) error { fn(ws); return engine.ErrClosed }
	}
	return map[string]func(ws *engine.WebSocket) error{
		"Send":         func(ws *engine.WebSocket) error { return ws.Send(engine.Text, []byte("late")) },
		"SendText":     func(ws *engine.WebSocket) error { return ws.SendText("late") },
		"SendBinary":   func(ws *engine.WebSocket) error { return ws.SendBinary([]byte("late")) },
		"SendFragment": func(ws *engine.WebSocket) error { return ws.SendFragment(engine.Text, nil, false) },
		"SendPrepared": func(ws *engine.WebSocket) error { return ws.SendPrepared(prepared) },
		"Ping":         func(ws *engine.WebSocket) error { return ws.Ping(nil) },
		"Do":           func(ws *engine.WebSocket) error { return ws.Do(func() { t.Error("Do ran after the end") }) },

		"Close": func(ws *engine.WebSocket) error {
			if err := ws.Close(4000, "late"); err != nil {
				return err
			}
			return engine.ErrClosed
		},
		"CloseNow":      quiet(func(ws *engine.WebSocket) { ws.CloseNow() }),
		"PauseReading":  quiet(func(ws *engine.WebSocket) { ws.PauseReading() }),
		"ResumeReading": quiet(func(ws *engine.WebSocket) { ws.ResumeReading() }),
		"Set":           quiet(func(ws *engine.WebSocket) { engine.Set(ws, 1); _ = engine.Get[int](ws) }),
		"Subprotocol":   quiet(func(ws *engine.WebSocket) { _ = ws.Subprotocol(); _ = ws.Extensions() }),
		"Done":          quiet(func(ws *engine.WebSocket) { <-ws.Done() }),
		"CloseStatus": quiet(func(ws *engine.WebSocket) {
			if code, _ := ws.CloseStatus(); code == 0 {
				t.Error("CloseStatus is 0 after the end")
			}
		}),
		"Err": quiet(func(ws *engine.WebSocket) { _ = ws.Err() }),
		"Buffered": quiet(func(ws *engine.WebSocket) {
			if n := ws.Buffered(); n != 0 {
				t.Errorf("%d bytes are buffered after the end", n)
			}
		}),
		"addresses": quiet(func(ws *engine.WebSocket) {
			if ws.RemoteAddr() != nil || ws.LocalAddr() != nil {
				t.Error("an address is left after the end")
			}
		}),
	}
}

// R19
func TestEveryMethodAfterTheEndFromFourGoroutines(t *testing.T) {
	ends := map[string]func(c *rawClient, ws *engine.WebSocket){
		"closing handshake": func(c *rawClient, _ *engine.WebSocket) { c.send(frame(0x88, "")); c.wantGone() },
		"broken rule":       func(c *rawClient, _ *engine.WebSocket) { c.send(frame(0x83, "")); c.wantGone() },
		"vanished":          func(c *rawClient, _ *engine.WebSocket) {},
		"CloseNow":          func(c *rawClient, ws *engine.WebSocket) { ws.CloseNow(); c.wantGone() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			opened := make(chan *engine.WebSocket, 1)
			addr := listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }})
			c := openRaw(t, addr)
			ws := within(t, "OnUpgrade", opened)
			end(c, ws)
			_ = c.Close()
			within(t, "the end", ws.Done())
			var all sync.WaitGroup
			for range 4 {
				for method, call := range methods(t) {
					all.Go(func() {
						if err := call(ws); !errors.Is(err, engine.ErrClosed) {
							t.Errorf("%s returned %v, want ErrClosed", method, err)
						}
					})
				}
			}
			all.Wait()
		})
	}
}

// R19: the same while the connection ends. Nothing is promised then but that
// nothing breaks.
func TestEveryMethodDuringTheEndFromFourGoroutines(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		t.Run(side, func(t *testing.T) {
			opened := make(chan *engine.WebSocket, 1)
			addr := listen(t, &engine.Server{
				Callbacks: echo,
				OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
			})
			for i := range 20 {
				client := dialEngine(t, addr, nil)
				server := within(t, "OnUpgrade", opened)
				ws, other := server, client
				if side == "client" {
					ws, other = client, server
				}
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						for err := error(nil); err == nil; err = ws.SendText("on and on") {
							engine.Set(ws, ws.Buffered())
							ws.PauseReading()
							ws.ResumeReading()
							_ = ws.Ping(nil)
							_ = ws.Do(func() { _ = ws.SendText("from the loop") })
							_, _, _ = ws.RemoteAddr(), engine.Get[int](ws), ws.Err()
							_, _ = ws.CloseStatus()
						}
						<-ws.Done()
					})
				}
				switch i % 4 {
				case 0:
					_ = ws.Close(engine.StatusNormalClosure, "")
				case 1:
					_ = other.Close(engine.StatusNormalClosure, "")
				case 2:
					ws.CloseNow()
				case 3:
					other.CloseNow()
				}
				all.Wait()
				within(t, "the other end", other.Done())
			}
		})
	}
}

// Nothing follows the close frame of a server, whoever sends while the peer closes, or
// breaks the protocol (RFC 6455 section 5.5.1).
func TestNothingFollowsTheCloseFrameOfAServer(t *testing.T) {
	for name, last := range map[string]string{
		"the peer closes": frame(0x88, closePayload(4000, "")), "the peer is failed": frame(0x83, ""),
	} {
		t.Run(name, func(t *testing.T) {
			var sending sync.WaitGroup
			t.Cleanup(sending.Wait) // after the server, which begins them, has ended
			addr := listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
				sending.Go(func() {
					for ws.SendText("on and on") == nil {
					}
				})
			}})
			for range 300 {
				c := openRaw(t, addr)
				c.send(last)
				for {
					h, _, err := c.readFrame()
					if err != nil {
						t.Fatal("no close frame:", err)
					}
					if h.OpCode == codec.Close {
						break
					}
				}
				if rest, err := io.ReadAll(c.br); err != nil || len(rest) > 0 {
					t.Fatalf("behind the close frame: %.20q, %v", rest, err)
				}
				_ = c.Close()
			}
		})
	}
}

// Who ends a connection first says why: OnError tells that a subscriber was too slow,
// though CloseNow is called before its loop has closed it.
func TestCloseNowHidesNoCause(t *testing.T) {
	failures := make(chan error, 4)
	cb, ended := record(engine.Callbacks{OnError: func(_ *engine.WebSocket, err error) { failures <- err }})
	srv := &engine.Server{Loops: 1, Callbacks: cb, Slow: engine.Slow{Policy: engine.SlowClose, Limit: 64 << 10}}
	r := openRoom(t, srv)
	_, ws := r.joinNarrow()
	fillTo(t, ws, 32<<10)
	release := engine.Hold(srv)
	defer release()
	closed := false
	for range 100 {
		d, err := srv.Publish("room", engine.BinaryMessage(make([]byte, 8<<10)))
		if err != nil {
			t.Fatal(err)
		}
		if closed = d.Closed == 1; closed {
			break
		}
		release()
		engine.Turn(srv)
		release = engine.Hold(srv)
	}
	if !closed {
		t.Fatal("the subscriber is not slow")
	}
	ws.CloseNow()
	release()
	if err := within(t, "OnError", failures); !errors.Is(err, engine.ErrSlow) {
		t.Error("OnError got", err)
	}
	if e := within(t, "OnClose", ended); !errors.Is(e.err, engine.ErrSlow) || ws.Cause() != engine.CauseSlow {
		t.Errorf("ended with %v, by %v", e, ws.Cause())
	}
}
