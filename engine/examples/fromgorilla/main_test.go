package main

import (
	"context"
	"errors"
	"io"
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
		cancel()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return a.String(), ctx
}

func enter(t *testing.T, ctx context.Context, addr string) *pull.Conn {
	t.Helper()
	c, err := pull.Dial(ctx, "ws://"+addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow(); <-c.WebSocket().Done() })
	return c
}

func TestEverybodyHearsWhatOneSays(t *testing.T) {
	addr, ctx := start(t)
	ann, ben := enter(t, ctx, addr), enter(t, ctx, addr)
	if err := ann.Write(ctx, engine.Text, []byte(" two\nlines ")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*pull.Conn{"ann": ann, "ben": ben} {
		if _, heard, err := c.Read(ctx); err != nil || string(heard) != "two lines" {
			t.Errorf("%s heard %q, %v", name, heard, err)
		}
	}
}

func TestLongLinesAreRefused(t *testing.T) {
	addr, ctx := start(t)
	ann := enter(t, ctx, addr)
	if err := ann.Write(ctx, engine.Text, make([]byte, 513)); err != nil {
		t.Fatal(err)
	}
	var closed *engine.CloseError
	if _, _, err := ann.Read(ctx); !errors.As(err, &closed) || closed.Code != engine.StatusMessageTooBig {
		t.Error(err)
	}
}

func TestThePageAndTheChatHaveTheirPaths(t *testing.T) {
	addr, ctx := start(t)
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "<title>Chat</title>") {
		t.Errorf("the page is %.40q, %v", body, err)
	}
	var status *engine.StatusError
	if _, err := pull.Dial(ctx, "ws://"+addr+"/other", nil); !errors.As(err, &status) || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
}
