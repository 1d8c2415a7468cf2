package engine_test

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

func TestDispatchKeepsTheOrderOfEachConnection(t *testing.T) {
	const clients, messages = 8, 500
	type state struct {
		inside atomic.Int32
		next   int
	}
	finished := make(chan int, clients)
	srv := &engine.Server{
		Loops:    2,
		Dispatch: &engine.Dispatch{Workers: 4, MaxWaiting: 3},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			engine.Set(ws, new(state))
		},
		Callbacks: engine.Callbacks{
			OnText: func(ws *engine.WebSocket, text []byte) {
				st := engine.Get[*state](ws)
				if st.inside.Add(1) != 1 {
					t.Error("two callbacks of one connection run at the same time")
				}
				if n, _ := strconv.Atoi(string(text)); n != st.next {
					t.Errorf("message %d came, want %d", n, st.next)
				}
				st.next++
				if err := ws.Send(engine.Text, text); err != nil {
					t.Error(err)
				}
				st.inside.Add(-1)
			},
			OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
				finished <- engine.Get[*state](ws).next
			},
		},
	}
	addr := listen(t, srv)
	var talking sync.WaitGroup
	for range clients {
		c := openRaw(t, addr)
		talking.Go(func() {
			for i := range messages {
				c.sendFrame(engine.Text, true, []byte(strconv.Itoa(i)))
			}
		})
		talking.Go(func() {
			for i := range messages {
				c.wantMessage(engine.Text, strconv.Itoa(i))
			}
			_ = c.Close()
		})
	}
	talking.Wait()
	for range clients {
		if n := within(t, "OnClose", finished); n != messages {
			t.Errorf("%d messages, want %d", n, messages)
		}
	}
}

// A callback that blocks holds up its connection, and nobody else on its loop.
func TestDispatchedCallbackMayBlock(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	srv := &engine.Server{
		Loops:    1,
		Dispatch: new(engine.Dispatch),
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			if string(text) == "block" {
				inside <- struct{}{}
				<-leave
			}
			_ = ws.Send(engine.Text, text)
		}},
	}
	addr := listen(t, srv)
	blocked, other := openRaw(t, addr), openRaw(t, addr)
	blocked.send(testkit.Masked(engine.Text, "block") + testkit.Masked(engine.Text, "behind") + testkit.Masked(codec.Ping, "alive"))
	within(t, "the callback", inside)
	other.send(testkit.Masked(engine.Text, "hello"))
	other.wantMessage(engine.Text, "hello")
	blocked.wantFrame(codec.Pong, true, "alive")
	leave <- struct{}{}
	blocked.wantMessage(engine.Text, "block")
	blocked.wantMessage(engine.Text, "behind")
}

func TestDispatchPausesReadingBeyondMaxWaiting(t *testing.T) {
	const waiting, total, size = 4, 2000, 16 << 10
	inside, leave := make(chan struct{}, total), make(chan struct{})
	var handled atomic.Int32
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{
		Loops:     1,
		Dispatch:  &engine.Dispatch{MaxWaiting: waiting},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnBinary: func(_ *engine.WebSocket, data []byte) {
			if string(data) != string(numbered(uint32(handled.Load()), size)) {
				t.Errorf("message %d is not as it was sent", handled.Load())
			}
			handled.Add(1)
			inside <- struct{}{}
			<-leave
		}},
	}
	c := openRaw(t, listen(t, srv))
	goOn := sync.OnceFunc(func() { close(leave) })
	t.Cleanup(goOn) // also if the test fails before
	within(t, "OnUpgrade", opened)
	var sent atomic.Int32
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		for i := range uint32(total) {
			c.sendFrame(engine.Binary, true, numbered(i, size))
			sent.Add(1)
		}
	}()
	within(t, "the first message", inside)
	in := uint64(0)
	eventually(t, "the client cannot send on", func() bool { // TCP itself stops it
		before := in
		in = srv.Stats().BytesIn
		time.Sleep(20 * time.Millisecond)
		return in > 0 && in == before
	})
	if n := sent.Load(); n == total {
		t.Fatal("everything was read in while the first message was at work")
	}
	if st := srv.Stats(); st.MessagesIn > 1+waiting+1 {
		t.Errorf("%d messages were taken in, want one at work and %d waiting, and the one that was too many", st.MessagesIn, waiting)
	}
	goOn()
	within(t, "the end of sending", sending)
	eventually(t, "everything is handled", func() bool { return handled.Load() == total })
}

// What came before the end reaches the callbacks, and OnClose is last; not so
// what came before Close of this side.
func TestDispatchDeliversWhatCameBeforeTheEnd(t *testing.T) {
	for name, end := range map[string]func(*rawClient, *engine.WebSocket){
		"close frame": func(c *rawClient, _ *engine.WebSocket) { c.send(testkit.Masked(codec.Close, "\x03\xe8")) },
		"end of file": func(c *rawClient, _ *engine.WebSocket) { _ = c.Close() },
		"violation":   func(c *rawClient, _ *engine.WebSocket) { c.send("\x81\x00") },
		"Close":       func(_ *rawClient, ws *engine.WebSocket) { _ = ws.Close(engine.StatusNormalClosure, "") },
		"CloseNow":    func(_ *rawClient, ws *engine.WebSocket) { ws.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			inside, leave := make(chan struct{}, 1), make(chan struct{})
			calls := make(chan string, 10)
			opened := make(chan *engine.WebSocket, 1)
			srv := &engine.Server{
				Loops:     1,
				Dispatch:  new(engine.Dispatch),
				OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
				Limits:    engine.Limits{CloseTimeout: 50 * time.Millisecond},
				Callbacks: engine.Callbacks{
					OnText: func(_ *engine.WebSocket, text []byte) {
						calls <- string(text)
						if string(text) == "1" {
							inside <- struct{}{}
							<-leave
						}
					},
					OnClose: func(*engine.WebSocket, engine.StatusCode, string) { calls <- "closed" },
				},
			}
			c := openRaw(t, listen(t, srv))
			t.Cleanup(func() { close(leave) }) // also if the test fails before
			ws := within(t, "OnUpgrade", opened)
			c.send(testkit.Masked(engine.Text, "1") + testkit.Masked(engine.Text, "2") + testkit.Masked(engine.Text, "3"))
			within(t, "the first callback", inside)
			eventually(t, "three messages", func() bool { return srv.Stats().MessagesIn == 3 })
			end(c, ws)
			eventually(t, "the end", func() bool { return srv.Conns() == 0 })
			select {
			case <-ws.Done():
				t.Error("Done before OnClose")
			default:
			}
			leave <- struct{}{}
			want := []string{"1", "2", "3", "closed"}
			if strings.HasPrefix(name, "Close") {
				want = []string{"1", "closed"}
			}
			for _, want := range want {
				if got := within(t, want, calls); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			within(t, "Done", ws.Done())
		})
	}
}

func TestPanicInAWorkerClosesWith1011(t *testing.T) {
	log, book := newLog()
	errs := make(chan error, 1)
	srv := &engine.Server{
		Loops:    1,
		Logger:   log,
		Dispatch: &engine.Dispatch{Workers: 1},
		Callbacks: engine.Callbacks{
			OnText: func(ws *engine.WebSocket, text []byte) {
				if string(text) == "boom" {
					panic("boom")
				}
				_ = ws.Send(engine.Text, text)
			},
			OnError: func(_ *engine.WebSocket, err error) { errs <- err },
			OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) {
				if code == engine.StatusInternalError {
					panic("in OnClose too")
				}
			},
		},
	}
	addr := listen(t, srv)
	c, other := openRaw(t, addr), openRaw(t, addr)
	c.send(testkit.Masked(engine.Text, "boom") + testkit.Masked(engine.Text, "behind"))
	c.wantClose(engine.StatusInternalError)
	_ = c.Close()
	var p *engine.PanicError
	if err := within(t, "OnError", errs); !errors.As(err, &p) || p.Value != "boom" {
		t.Errorf("OnError: %v", err)
	}
	eventually(t, "both panics are counted", func() bool { return srv.Stats().Panics == 2 })
	if book.count("panicked") == 0 {
		t.Error("nothing is logged")
	}
	other.send(testkit.Masked(engine.Text, "the worker lives"))
	other.wantMessage(engine.Text, "the worker lives")
}

// Close waits for callbacks that are under way, and Done comes after the last.
func TestServerEndsAfterDispatchedCallbacks(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	var closed atomic.Bool
	srv := &engine.Server{
		Loops:    1,
		Dispatch: new(engine.Dispatch),
		Callbacks: engine.Callbacks{
			OnText: func(*engine.WebSocket, []byte) {
				inside <- struct{}{}
				<-leave
			},
			OnClose: func(*engine.WebSocket, engine.StatusCode, string) { closed.Store(true) },
		},
	}
	c := openRaw(t, listen(t, srv))
	t.Cleanup(func() { close(leave) }) // also if the test fails before
	c.send(testkit.Masked(engine.Text, "x") + testkit.Masked(engine.Text, "not any more"))
	within(t, "the callback", inside)
	ended := make(chan error, 1)
	go func() { ended <- srv.Close() }()
	c.wantGone()
	eventually(t, "the connection is gone", func() bool { return srv.Conns() == 0 })
	select {
	case <-srv.Done():
		t.Error("Done while a callback is under way")
	case err := <-ended:
		t.Error("Close returned while a callback is under way:", err)
	default:
	}
	leave <- struct{}{}
	if err := within(t, "Close", ended); err != nil {
		t.Error(err)
	}
	within(t, "Done", srv.Done())
	if !closed.Load() {
		t.Error("Close returned before OnClose")
	}
}

func TestDispatchRunsNoMoreThanItsWorkers(t *testing.T) {
	const workers, clients = 3, 12
	var now, most atomic.Int32
	leave := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(leave) })
	srv := &engine.Server{
		Loops:    2,
		Dispatch: &engine.Dispatch{Workers: workers},
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-leave
			runtime.Gosched() // the work
			now.Add(-1)
			_ = ws.Send(engine.Text, text)
		}},
	}
	addr := listen(t, srv)
	t.Cleanup(goOn) // also if the test fails before
	conns := make([]*rawClient, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
		conns[i].send(testkit.Masked(engine.Text, "first"))
	}
	eventually(t, "all messages", func() bool { return srv.Stats().MessagesIn == clients })
	eventually(t, "all workers are at work", func() bool { return now.Load() >= workers })
	goOn()
	var talking sync.WaitGroup
	for i, c := range conns {
		talking.Go(func() {
			c.wantMessage(engine.Text, "first")
			for j := range 20 {
				text := fmt.Sprint(i, " ", j)
				c.sendFrame(engine.Text, true, []byte(text))
				c.wantMessage(engine.Text, text)
			}
		})
	}
	talking.Wait()
	if n := most.Load(); n != workers {
		t.Errorf("%d callbacks ran at the same time, want %d", n, workers)
	}
}
