package engine_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// What the program sets counts, and connections still go back to their loops.
func TestHTTPServerCanBeConfigured(t *testing.T) {
	type key struct{}
	type change struct {
		conn  net.Conn
		state http.ConnState
	}
	changes := make(chan change, 64)
	srv := &engine.Server{
		Callbacks: echo,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Context().Value(key{}).(string))
		}),
		ConfigureHTTP: func(srv *http.Server) {
			srv.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), key{}, "base") }
			srv.ConnState = func(nc net.Conn, s http.ConnState) { changes <- change{nc, s} }
			srv.ReadTimeout = time.Minute
			srv.Protocols = new(http.Protocols) // which counts for nothing
		},
	}
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	for range 2 {
		c.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := c.readResponse(); resp.StatusCode != 200 || body != "base" {
			t.Fatalf("%d, %q", resp.StatusCode, body)
		}
		eventually(t, "it is on a loop", func() bool { return srv.Stats().HTTP == 0 && srv.Stats().Connections == 1 })
	}
	c.send(testkit.UpgradeHead(addr))
	c.wantUpgraded()
	c.exchange("as the third request")
	states := make(map[net.Conn][]http.ConnState) // a connection is lent to net/http anew for each request
	want := []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateClosed}
	for range 2 * len(want) {
		got := within(t, "ConnState", changes)
		states[got.conn] = append(states[got.conn], got.state)
	}
	for _, got := range states {
		if !slices.Equal(got, want) {
			t.Errorf("the states are %v, want %v", got, want)
		}
	}
}
