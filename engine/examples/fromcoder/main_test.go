package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// start returns host:port of a chat that ends with the test, and a context that bounds
// what hangs.
func start(t *testing.T) (addr string, ctx context.Context) {
	t.Helper()
	srv := newServer()
	a, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return a.String(), ctx
}

func enter(t *testing.T, ctx context.Context, addr string) *pull.Conn {
	t.Helper()
	c, err := pull.Dial(ctx, "ws://"+addr+"/subscribe", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow(); <-c.WebSocket().Done() })
	return c
}

func post(t *testing.T, addr, line string) (status int) {
	t.Helper()
	resp, err := http.Post("http://"+addr+"/publish", "text/plain", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestEverybodyHearsWhatIsPosted(t *testing.T) {
	addr, ctx := start(t)
	ann, ben := enter(t, ctx, addr), enter(t, ctx, addr)
	const lines = 12 // more than a burst
	for i := range lines {
		if status := post(t, addr, fmt.Sprint("line ", i)); status != http.StatusAccepted {
			t.Fatal(status)
		}
	}
	for name, c := range map[string]*pull.Conn{"ann": ann, "ben": ben} {
		for i := range lines {
			if _, heard, err := c.Read(ctx); err != nil || string(heard) != fmt.Sprint("line ", i) {
				t.Fatalf("%s heard %q instead of line %d, %v", name, heard, i, err)
			}
		}
	}
}

func TestListenersSendNothing(t *testing.T) {
	addr, ctx := start(t)
	ann := enter(t, ctx, addr)
	if err := ann.Write(ctx, engine.Text, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	var closed *engine.CloseError
	if _, _, err := ann.Read(ctx); !errors.As(err, &closed) || closed.Code != engine.StatusPolicyViolation {
		t.Error(err)
	}
}

func TestPostsAreBounded(t *testing.T) {
	addr, _ := start(t)
	if status := post(t, addr, strings.Repeat("x", 8193)); status != http.StatusRequestEntityTooLarge {
		t.Error(status)
	}
	resp, err := http.Get("http://" + addr + "/publish")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Error(resp.StatusCode)
	}
}

func TestLimiterLetsABurstPass(t *testing.T) {
	l := limiter{every: time.Hour, burst: 8}
	for range 8 {
		if err := l.wait(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	done := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(done)
	if err := l.wait(ctx); !errors.Is(err, done) {
		t.Error("the ninth passed:", err)
	}
}
