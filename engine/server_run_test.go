package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// running calls Run and returns what ends it, and its result.
func running(t *testing.T, srv *engine.Server, grace time.Duration) (end func(), result <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, grace) }()
	t.Cleanup(func() { cancel(); <-srv.Done() })
	return cancel, done
}

func TestRunEndsInOrderWithItsContext(t *testing.T) {
	srv := &engine.Server{Addr: "127.0.0.1:0"}
	end, result := running(t, srv, time.Hour)
	eventually(t, "it listens", func() bool { return len(srv.Listeners()) == 1 })
	c := openRaw(t, srv.Listeners()[0].String())
	end()
	if code, _ := c.readClose(); code != engine.StatusGoingAway {
		t.Error(code)
	}
	c.finishClosing()
	if err := within(t, "Run", result); err != nil {
		t.Error(err)
	}
	select {
	case <-srv.Done():
	default:
		t.Error("Run returned before the server had ended")
	}
	if err := srv.Run(t.Context(), 0); err != engine.ErrServerClosed {
		t.Error(err)
	}
}

// Who does not answer is dropped when the grace is over.
func TestRunDropsWhoDoesNotAnswer(t *testing.T) {
	srv := &engine.Server{Addr: "127.0.0.1:0", Limits: engine.Limits{CloseTimeout: time.Hour}}
	end, result := running(t, srv, time.Millisecond)
	eventually(t, "it listens", func() bool { return len(srv.Listeners()) == 1 })
	c := openRaw(t, srv.Listeners()[0].String())
	end()
	if err := within(t, "Run", result); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	c.wantGone()
}

// What listens already is enough: Run does not listen on Addr.
func TestRunServesWhereTheServerListens(t *testing.T) {
	srv := &engine.Server{Addr: "256.0.0.1:http"}
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, result := running(t, srv, time.Hour)
	openRaw(t, ln.String())
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := within(t, "Run", result); err != engine.ErrServerClosed {
		t.Error(err)
	}
}

func TestRunErrors(t *testing.T) {
	srv := &engine.Server{Addr: "256.0.0.1:http"}
	if err := srv.Run(t.Context(), 0); err == nil || errors.Is(err, engine.ErrServerClosed) {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (&engine.Server{Loops: -1}).Run(t.Context(), 0); err == nil {
		t.Error("a mistake in the fields is not told")
	}
	inside := make(chan error, 1)
	srv = &engine.Server{}
	srv.OnUpgrade = func(*engine.WebSocket, *engine.Request) { inside <- srv.Run(t.Context(), 0) }
	openRaw(t, listen(t, srv))
	if err := within(t, "Run in a callback", inside); err != engine.ErrInCallback {
		t.Error(err)
	}
}
