package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/examples/internal/leak"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// start returns the URL of a gateway to the backends of flags, and a context that bounds
// what hangs.
func start(t *testing.T, flags ...string) (url string, ctx context.Context) {
	t.Helper()
	all := make(backends)
	for _, flag := range flags {
		if err := all.add(flag); err != nil {
			t.Fatal(err)
		}
	}
	srv := newServer(all)
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		for name, b := range all {
			if n := b.open.Load(); n > 0 {
				t.Errorf("%s has %d tunnels that are open", name, n)
			}
		}
		cancel()
	})
	return "ws://" + addr.String(), ctx
}

// listen returns the address of a TCP server whose connections go to the channel.
func listen(t *testing.T) (addr string, conns <-chan *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan *net.TCPConn, 8)
	go func() {
		defer close(accepted)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- nc.(*net.TCPConn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		for nc := range accepted {
			_ = nc.Close()
		}
	})
	return ln.Addr().String(), accepted
}

func dial(t *testing.T, ctx context.Context, url string) *pull.Conn {
	t.Helper()
	c, err := pull.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow(); <-c.WebSocket().Done() })
	return c
}

func expectClose(t *testing.T, ctx context.Context, c *pull.Conn, code engine.StatusCode) {
	t.Helper()
	var closed *engine.CloseError
	if _, _, err := c.Read(ctx); !errors.As(err, &closed) || closed.Code != code {
		t.Errorf("%v, want close code %d", err, code)
	}
}

// greet sends hello to the backend, so that the tunnel is known to stand.
func greet(t *testing.T, c net.Conn, backend *net.TCPConn) {
	t.Helper()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, 5)
	if _, err := io.ReadFull(backend, heard); err != nil || string(heard) != "hello" {
		t.Fatalf("the backend got %q, %v", heard, err)
	}
}

func stream() []byte {
	p := make([]byte, 3<<20) // more than the queues hold
	_, _ = rand.Read(p)
	return p
}

func TestWhatClientSentArrivesBeforeItsEnd(t *testing.T) {
	addr, conns := listen(t)
	url, ctx := start(t, "b="+addr)
	c := dial(t, ctx, url+"/tcp/b").NetConn(engine.Binary)
	backend := <-conns
	defer backend.Close()
	sent := stream()
	go func() {
		_, _ = c.Write(sent)
		_ = c.Close()
	}()
	if got, err := io.ReadAll(backend); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("the backend got %d of %d bytes, %v", len(got), len(sent), err)
	}
	if _, err := backend.Write(sent); err != nil {
		t.Errorf("the backend cannot finish what it writes to a client that has closed: %v", err)
	}
}

func TestWhatBackendSentArrivesBeforeItsEnd(t *testing.T) {
	addr, conns := listen(t)
	url, ctx := start(t, "b="+addr)
	ws := dial(t, ctx, url+"/tcp/b")
	c, backend, answer := ws.NetConn(engine.Binary), <-conns, stream()
	greet(t, c, backend)
	go func() {
		_, _ = backend.Write(answer)
		_ = backend.Close()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("the client got %d of %d bytes, %v", len(got), len(answer), err)
	}
	<-ws.WebSocket().Done()
	if code, _ := ws.WebSocket().CloseStatus(); code != engine.StatusNormalClosure {
		t.Error("closed with", code)
	}
}

// A backend must not take a part of a stream for the whole.
func TestBackendSeesThatClientIsLost(t *testing.T) {
	addr, conns := listen(t)
	url, ctx := start(t, "b="+addr)
	c := dial(t, ctx, url+"/tcp/b")
	backend := <-conns
	defer backend.Close()
	greet(t, c.NetConn(engine.Binary), backend)
	c.CloseNow()
	if got, err := io.ReadAll(backend); err == nil {
		t.Errorf("the backend read %q to the end", got)
	}
}

func TestClientSeesThatBackendFails(t *testing.T) {
	addr, conns := listen(t)
	url, ctx := start(t, "b="+addr)
	c := dial(t, ctx, url+"/tcp/b")
	backend := <-conns
	_ = backend.SetLinger(0)
	_ = backend.Close() // a reset
	expectClose(t, ctx, c, engine.StatusBadGateway)
}

func TestUnreachableBackend(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	url, ctx := start(t, "b="+ln.Addr().String())
	expectClose(t, ctx, dial(t, ctx, url+"/tcp/b"), engine.StatusBadGateway)
}

func TestEachBackendHasItsLimits(t *testing.T) {
	addr, conns := listen(t)
	url, ctx := start(t, "one="+addr+"?conns=1", "two="+addr+"?conns=2&queue=65536", "idle="+addr+"?idle=1ms")
	for _, name := range []string{"one", "two", "two"} {
		dial(t, ctx, url+"/tcp/"+name)
		defer (<-conns).Close()
	}
	expectClose(t, ctx, dial(t, ctx, url+"/tcp/idle"), engine.StatusGoingAway)
	for name, want := range map[string]int{"one": 503, "other": 404} {
		var refused *engine.StatusError
		if _, err := pull.Dial(ctx, url+"/tcp/"+name, nil); !errors.As(err, &refused) || refused.Status != want {
			t.Error(name, err)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, flag := range []string{"=localhost:1", "a/{b}=localhost:1", "a=localhost:1?idle=x", "a=localhost:1?size=1", "a=localhost:1?queue=-7"} {
		if err := make(backends).add(flag); err == nil {
			t.Error("accepted:", flag)
		}
	}
}

func TestRPC(t *testing.T) {
	addr, _ := listen(t)
	url, ctx := start(t, "b="+addr)
	c := dial(t, ctx, url+"/rpc")
	for _, step := range []struct{ request, response string }{
		{`{"jsonrpc":"2.0","method":"backends","id":1}`, `{"jsonrpc":"2.0","id":1,"result":[{"name":"b","open":0}]}`},
		{`{"jsonrpc":"2.0","method":"check","params":["b"],"id":"x"}`, `{"jsonrpc":"2.0","id":"x","result":"reachable"}`},
		{`{"jsonrpc":"2.0","method":"check","params":["c"],"id":2}`, `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"invalid params"}}`},
		{`{"jsonrpc":"2.0","method":"other","id":3}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"method not found"}}`},
		{`{`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
		{`{"jsonrpc":"2.0","method":"other"}`, ``}, // a notification
		{`{"jsonrpc":"2.0","method":"backends","id":4}`, `{"jsonrpc":"2.0","id":4,"result":[{"name":"b","open":0}]}`},
	} {
		if err := c.Write(ctx, engine.Text, []byte(step.request)); err != nil {
			t.Fatal(err)
		}
		if step.response == "" {
			continue
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != step.response {
			t.Errorf("%s: %s, %v, want %s", step.request, got, err, step.response)
		}
	}
	if err := c.Write(ctx, engine.Text, make([]byte, 64<<10+1)); err != nil {
		t.Fatal(err)
	}
	expectClose(t, ctx, c, engine.StatusMessageTooBig)
}
