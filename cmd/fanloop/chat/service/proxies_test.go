package service_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// arrival is how a client comes: with headers of a request, behind a PROXY header.
type arrival struct {
	header http.Header
	line   string // the PROXY header; empty: none
}

// dial opens a connection with the headers, and enters as user. It returns the answer.
func (a *arrival) enter(t *testing.T, ctx context.Context, s *service.Service, user string) protocol.Frame {
	t.Helper()
	ws, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", &engine.DialOptions{
		Header: a.header, Subprotocols: []string{protocol.JSON.Subprotocol()},
		NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil && a.line != "" {
				_, err = io.WriteString(conn, a.line)
			}
			return conn, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow(); <-ws.WebSocket().Done() })
	c := &client{t: t, ctx: ctx, ws: ws, encoding: protocol.JSON}
	hello, err := protocol.JSON.AppendCommand(nil, &protocol.Connect{Ref: 1, Version: 1, Token: token(t, time.Hour, jwt.MapClaims{"sub": user})})
	if err != nil {
		t.Fatal(err)
	}
	_ = ws.Write(ctx, engine.Text, hello) // who is refused may be closed already
	return c.next()
}

// The address of a client is the one that a trusted proxy names, for WebSockets and streams,
// and nobody else is believed. Limits by address are for that one.
func TestAddressBehindProxies(t *testing.T) {
	const line = "PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"
	chain := http.Header{"X-Forwarded-For": {"1.1.1.1", "203.0.113.9, 192.0.2.8"}, "Forwarded": {"for=198.51.100.2"}}
	for _, tt := range []struct {
		name    string
		trusted []string
		header  string
		from    arrival
		want    string
	}{
		{"no proxy", nil, proxies.ForwardedFor, arrival{header: chain}, "127.0.0.1"},
		{"another proxy", []string{"192.0.2.0/24"}, proxies.ForwardedFor, arrival{header: chain}, "127.0.0.1"},
		{"X-Forwarded-For", []string{"127.0.0.1", "192.0.2.0/24"}, proxies.ForwardedFor, arrival{header: chain}, "203.0.113.9"},
		{"Forwarded", []string{"127.0.0.1", "192.0.2.0/24"}, proxies.Forwarded, arrival{header: chain}, "198.51.100.2"},
		{"PROXY", []string{"127.0.0.1"}, proxies.Protocol, arrival{chain, line}, "203.0.113.9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, ctx := start(t, func(c *config.Config) {
				withAccounts(c)
				c.TrustedProxies, c.ProxyHeader, c.Limits.Address.Connections = tt.trusted, tt.header, 1
			})
			if f, in := tt.from.enter(t, ctx, s, "ann").(*protocol.Connected); !in {
				t.Fatalf("%+v", f)
			}
			found, err := s.User(ctx, "ann")
			if err != nil || len(found) != 1 || found[0].Address != tt.want {
				t.Errorf("%+v %v, want %s", found, err, tt.want)
			}
			if f, closed := tt.from.enter(t, ctx, s, "bob").(*protocol.Closing); !closed || f.Code != protocol.RateLimited {
				t.Errorf("a second connection of the address got %+v", f)
			}
			if tt.want == "127.0.0.1" {
				return
			}
			other := arrival{http.Header{"X-Forwarded-For": {"203.0.113.10"}, "Forwarded": {"for=203.0.113.10"}}, ""}
			if tt.from.line != "" {
				other.line = "PROXY TCP4 203.0.113.10 192.0.2.1 4711 80\r\n"
			}
			if f, in := other.enter(t, ctx, s, "cy").(*protocol.Connected); !in {
				t.Errorf("another address got %+v", f)
			}
		})
	}
}

// A stream has the address that a proxy names, also where there are several headers.
func TestAddressOfStreamBehindProxies(t *testing.T) {
	for _, tt := range []struct{ header, name, value, want string }{
		{proxies.ForwardedFor, "X-Forwarded-For", "1.1.1.1, [2001:db8::9]:80", "2001:db8::9"},
		{proxies.Forwarded, "Forwarded", `for=1.1.1.1, for="[2001:db8::9]:80"`, "2001:db8::9"},
		{proxies.ForwardedFor, "Forwarded", "for=1.1.1.1", "127.0.0.1"},
	} {
		s, ctx := start(t, func(c *config.Config) {
			withAccounts(c)
			c.TrustedProxies, c.ProxyHeader = []string{"127.0.0.0/8"}, tt.header
		})
		hello := &protocol.Connect{Ref: 1, Version: 1, Token: token(t, time.Hour, jwt.MapClaims{"sub": "ann"})}
		resp := post(t, ctx, "http://"+s.Addr()+"/v1/stream", map[string]string{tt.name: tt.value}, hello)
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		var found []service.Connection
		for len(found) == 0 && ctx.Err() == nil {
			found, _ = s.User(ctx, "ann")
		}
		if got := fmt.Sprint(found[0].Address); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
