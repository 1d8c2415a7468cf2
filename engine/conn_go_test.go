package engine_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

func TestGoThatDoesNotReturnEndsItsConnection(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("a mistake") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { ws.Go(leave) }}
			c := openRaw(t, listen(t, srv))
			c.wantMessage(codec.Close, "\x03\xf3internal error")
			if n := srv.Stats().Panics; n != 1 {
				t.Errorf("%d panics were counted", n)
			}
		})
	}
}

func TestShutdownWaitsForGo(t *testing.T) {
	var returned atomic.Int32
	runs := make(chan bool, 2)
	srv := new(engine.Server)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		for range 2 {
			ws.Go(func() {
				runs <- true
				<-ws.Done()
				select {
				case <-srv.Done(): // too early
				case <-time.After(20 * time.Millisecond): // as if it still had something to store
					returned.Add(1)
				}
			})
		}
	}
	_ = dialEngine(t, listen(t, srv), nil)
	within(t, "a goroutine", runs)
	within(t, "another one", runs)
	if err := srv.Shutdown(context.Background()); err != nil || returned.Load() != 2 {
		t.Errorf("Shutdown returned %v after %d of 2 goroutines", err, returned.Load())
	}
}

func TestShutdownLeavesBehindGoThatBlocks(t *testing.T) {
	errDone, runs, goOn := errors.New("the test is done waiting"), make(chan bool, 1), make(chan bool)
	defer close(goOn)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		ws.Go(func() { runs <- true; <-goOn })
	}}
	ws := dialEngine(t, listen(t, srv), nil)
	within(t, "the goroutine", runs)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { <-ws.Done(); cancel(errDone) }()
	if err := srv.Shutdown(ctx); !errors.Is(err, errDone) {
		t.Error("Shutdown returned", err)
	}
}

func TestGoOfAClient(t *testing.T) {
	ws := dialEngine(t, listen(t, &engine.Server{Callbacks: echo}), nil)
	done := make(chan bool)
	ws.Go(func() { close(done) })
	within(t, "the goroutine", done)
	if ws.Limits() != (engine.Limits{}.WithDefaults()) {
		t.Error("the limits have no defaults:", ws.Limits())
	}
}
