package engine_test

import (
	"io"
	"net"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// OnClose may ask who it was, however the connection ended, and OnError too.
func TestAddressesAreKnownInOnClose(t *testing.T) {
	ends := map[string]func(c *rawClient, ws *engine.WebSocket){
		"close": func(c *rawClient, _ *engine.WebSocket) {
			c.send(testkit.Masked(8, ""))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		},
		"reset":    func(c *rawClient, _ *engine.WebSocket) { _ = c.Conn.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"EOF":      func(c *rawClient, _ *engine.WebSocket) { _ = c.Close() },
		"CloseNow": func(_ *rawClient, ws *engine.WebSocket) { ws.CloseNow() },
	}
	for name, end := range ends {
		for _, at := range loopbacks() {
			for _, dispatch := range []*engine.Dispatch{nil, {}} {
				t.Run(name+" "+at, func(t *testing.T) {
					opened := make(chan *engine.WebSocket, 1)
					type addresses struct{ remote, local net.Addr }
					asked := make(chan addresses, 2)
					ask := func(ws *engine.WebSocket) { asked <- addresses{ws.RemoteAddr(), ws.LocalAddr()} }
					addr := listenWith(t, &engine.Server{
						Dispatch:  dispatch,
						OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
						Callbacks: engine.Callbacks{
							OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) { ask(ws) },
							OnError: func(ws *engine.WebSocket, _ error) { ask(ws) },
						},
					}, at, engine.ListenOptions{})
					c := openRaw(t, addr)
					want := c.LocalAddr().String()
					ws := within(t, "OnUpgrade", opened)
					end(c, ws)
					within(t, "the end", ws.Done())
					close(asked)
					for got := range asked {
						if got.remote == nil || got.remote.String() != want || got.local == nil || got.local.String() != addr {
							t.Errorf("the addresses are %v and %v, want %s and %s", got.remote, got.local, want, addr)
						}
					}
				})
			}
		}
	}
}

// loopbacks are addresses to listen on, that of IPv6 if there is IPv6.
func loopbacks() []string {
	all := []string{"127.0.0.1:0"}
	if ln, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = ln.Close()
		all = append(all, "[::1]:0")
	}
	return all
}
