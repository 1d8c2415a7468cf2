package engine_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// A connection has its place from its request to its end, however that goes: refused by
// ShouldUpgrade, on the pool of BlockingUpgrade, after a panic, or closed.
func TestEndpointMaxConnections(t *testing.T) {
	routed(t, func(t *testing.T, serve entranceFunc) {
		for name, blocking := range map[string]bool{"on the loop": false, "BlockingUpgrade": true} {
			t.Run(name, func(t *testing.T) {
				srv := &engine.Server{Callbacks: echo, Logger: slog.New(slog.DiscardHandler)}
				small := &engine.Endpoint{
					Callbacks:       echo,
					MaxConnections:  2,
					BlockingUpgrade: blocking,
					ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
						switch req.QueryValue("do") {
						case "deny":
							return nil, engine.Reject(http.StatusForbidden, "not here")
						case "panic":
							panic("as asked")
						}
						return nil, nil
					},
				}
				srv.Handle("/small/{n}", small)
				srv.Handle("/small", small)
				addr := serve(t, srv)
				ask := func(path string) *rawClient {
					c := dialRaw(t, addr)
					c.send(headFor(addr, path))
					return c
				}
				for range 3 { // their places are free again
					c := ask("/small?do=deny")
					c.wantRefused(http.StatusForbidden)
					_ = c.Close()
					c = ask("/small?do=panic")
					c.wantRefused(http.StatusInternalServerError)
					_ = c.Close()
					eventually(t, "they have left", func() bool { return srv.Conns() == 0 })
				}
				open := []*rawClient{ask("/small"), ask("/small/1")}
				for _, c := range open {
					c.wantUpgraded()
				}
				ask("/small").wantRefused(http.StatusServiceUnavailable)
				other := ask("/other") // of the server
				other.wantUpgraded()
				_ = open[0].Close()
				eventually(t, "it has left", func() bool { return srv.Stats().Ended[engine.CausePeerGone] == 1 })
				eventually(t, "its place is free", func() bool {
					c := ask("/small")
					resp, _ := c.readResponse()
					return resp.StatusCode == http.StatusSwitchingProtocols
				})
			})
		}
	})
}

func TestRequestQueryValue(t *testing.T) {
	routed(t, func(t *testing.T, serve entranceFunc) {
		srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			_ = ws.SendText(req.QueryValue("token") + "," + req.QueryValue("none"))
		}}
		addr := serve(t, srv)
		for query, want := range map[string]string{"?token=a%20b&token=c": "a b,", "?%zz=1&token=d": "d,", "": ","} {
			c := dialRaw(t, addr)
			c.send(headFor(addr, "/chat"+query))
			c.wantUpgraded()
			c.wantMessage(engine.Text, want)
		}
	})
}
