package engine_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// front is a way by which a connection becomes a WebSocket.
type front struct {
	// serve starts srv and returns how a client connects to it, up to where
	// HTTP begins.
	serve  func(t *testing.T, srv *engine.Server) (connect func() *rawClient)
	secure bool
	second bool // the upgrade is not the first request
}

// firstRequest is what stands before an upgrade that is the second request.
const firstRequest = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"

// before is what a client sends before the upgrade.
func (f *front) before() string {
	if f.second {
		return firstRequest
	}
	return ""
}

// wantBefore reads the answer to it.
func (f *front) wantBefore(c *rawClient) {
	c.t.Helper()
	if f.second {
		c.wantPage()
	}
}

// fronts are all ways, without TLS and with it.
func fronts(t *testing.T) map[string]*front {
	id := testkit.NewIdentity(t, "server")
	all := map[string]*front{}
	for name, version := range map[string]uint16{"": 0, " over TLS 1.2": tls.VersionTLS12, " over TLS 1.3": tls.VersionTLS13} {
		g := entrance{}
		if version != 0 {
			g.server, g.client = id.Server(), id.Client()
			g.client.MaxVersion = version
		}
		add := func(what string, second bool, serve func(t *testing.T, srv *engine.Server) func() *rawClient) {
			all[what+name] = &front{serve: serve, secure: version != 0, second: second}
		}
		add("listener", false, g.listener("127.0.0.1:0", ""))
		add("listener with BlockingUpgrade", false, func(t *testing.T, srv *engine.Server) func() *rawClient {
			srv.BlockingUpgrade = true
			srv.ShouldUpgrade = func(*engine.Request) (http.Header, error) { return nil, nil }
			return g.listener("127.0.0.1:0", "")(t, srv)
		})
		add("listener behind a proxy", false, g.listener("127.0.0.1:0", v1Header))
		add("unix socket", false, g.listener("unix:", ""))
		add("HTTP side", true, g.listener("127.0.0.1:0", ""))
		add("HTTP side behind a proxy", true, g.listener("127.0.0.1:0", headerV2(t, clientV6, frontV6)))
		add("HTTP side of a unix socket behind a proxy", true, g.listener("unix:", v1Header))
		add("net/http", false, g.mounted)
		add("net/http, second request", true, g.mounted)
	}
	return all
}

// entrance is what a front has on both sides of a connection.
type entrance struct{ server, client *tls.Config } // nil: plain

// listener serves srv on addr; a client's connection begins with header.
func (g entrance) listener(addr, header string) func(t *testing.T, srv *engine.Server) func() *rawClient {
	return func(t *testing.T, srv *engine.Server) func() *rawClient {
		if srv.HTTP == nil {
			srv.HTTP = http.HandlerFunc(page)
		}
		opt := engine.ListenOptions{TLS: g.server}
		if header != "" {
			opt.ProxyProtocol = &engine.ProxyProtocol{Trusted: localhost, TrustUnix: true}
		}
		network, at := "tcp", addr
		if addr == "unix:" {
			network, at = "unix", addr+socketPath(t)
		}
		at = listenWith(t, srv, at, opt)
		return func() *rawClient {
			nc, err := net.Dial(network, at)
			if err != nil {
				t.Fatal(err)
			}
			c := newRawClient(t, nc)
			c.send(header)
			return g.pass(c)
		}
	}
}

// mounted serves srv behind a net/http server.
func (g entrance) mounted(t *testing.T, srv *engine.Server) func() *rawClient {
	addr := mountWith(t, srv, g.server)
	return func() *rawClient { return g.pass(dialRaw(t, addr)) }
}

func (g entrance) pass(c *rawClient) *rawClient {
	c.t.Cleanup(func() { _ = c.Close() })
	if g.client == nil {
		return c
	}
	return c.secured(g.client)
}

// mountWith is mount, over TLS if config is not nil.
func mountWith(t *testing.T, srv *engine.Server, config *tls.Config) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/chat", srv)
	mux.HandleFunc("/page", page)
	return serveWith(t, srv, mux, config)
}

// serveHandler serves h, which leads to srv, by net/http and returns host:port.
func serveHandler(t *testing.T, srv *engine.Server, h http.Handler) string {
	t.Helper()
	return serveWith(t, srv, h, nil)
}

func serveWith(t *testing.T, srv *engine.Server, h http.Handler, config *tls.Config) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := nl.Addr().String()
	if config != nil {
		nl = engine.NewTLSListener(nl, config)
	}
	web := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan error, 1)
	go func() { served <- web.Serve(nl) }()
	t.Cleanup(func() {
		_ = srv.Close()
		_ = web.Close()
		within(t, "the end of net/http", served)
	})
	return addr
}

// H09
func TestFrameBehindTheHeadIsDeliveredOnce(t *testing.T) {
	for name, front := range fronts(t) {
		t.Run(name, func(t *testing.T) {
			connect := front.serve(t, &engine.Server{Callbacks: echo})
			early := testkit.Masked(engine.Text, "first") + testkit.Masked(engine.Binary, "second")
			for cut := range map[int]bool{len(early): true, 0: true, 1: true, 7: true, len(early) - 1: true} {
				c := connect()
				c.send(front.before() + testkit.UpgradeHead("a") + early[:cut])
				front.wantBefore(c)
				c.wantUpgraded()
				c.send(early[cut:] + testkit.Masked(engine.Text, "third"))
				c.wantMessage(engine.Text, "first")
				c.wantMessage(engine.Binary, "second")
				c.wantMessage(engine.Text, "third")
				c.send(testkit.Masked(8, ""))
				c.wantClose(engine.StatusNoStatusRcvd)
			}
		})
	}
}

// H09: more than net/http's own buffer and a TLS record hold, so that the bytes
// behind the head lie in several places when the connection moves.
func TestLargeFrameBehindTheHeadIsDeliveredOnce(t *testing.T) {
	for name, front := range fronts(t) {
		t.Run(name, func(t *testing.T) {
			c := front.serve(t, &engine.Server{Callbacks: echo})()
			large := string(pattern(40 << 10))
			c.send(front.before() + testkit.UpgradeHead("a") + testkit.Masked(engine.Text, "first") + testkit.Masked(engine.Binary, large))
			front.wantBefore(c)
			c.wantUpgraded()
			c.send(testkit.Masked(engine.Text, "third"))
			c.wantMessage(engine.Text, "first")
			c.wantMessage(engine.Binary, large)
			c.wantMessage(engine.Text, "third")
		})
	}
}

// H04, H09, L09: nothing is lost or doubled where the octets are cut, be they
// requests before the upgrade, its head, or frames behind it.
func TestNoOctetIsLostWhereTheyAreCut(t *testing.T) {
	for name, front := range fronts(t) {
		t.Run(name, func(t *testing.T) {
			connect := front.serve(t, &engine.Server{Callbacks: echo})
			all := front.before() + testkit.UpgradeHead("a") + testkit.Masked(engine.Text, "first") + testkit.Masked(engine.Binary, "second")
			step := 1
			if !longTests && (front.secure || raceEnabled) {
				step = 13 // a TLS handshake for every octet takes its time
			}
			for cut := len(name) % step; cut <= len(all); cut += step {
				c := connect()
				c.send(all[:cut])
				c.send(all[cut:])
				c.wantCutStream(front)
				_ = c.Close()
			}
			c := connect()
			for _, octet := range octets(all) {
				c.send(octet)
			}
			c.wantCutStream(front)
		})
	}
}

func (c *rawClient) wantCutStream(f *front) {
	c.t.Helper()
	f.wantBefore(c)
	c.wantUpgraded()
	c.wantMessage(engine.Text, "first")
	c.wantMessage(engine.Binary, "second")
}

// H09, L09: requests that come without waiting for answers, an upgrade among
// them, are answered in order.
func TestUpgradeBehindPipelinedRequests(t *testing.T) {
	for name, front := range fronts(t) {
		if !front.second {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := front.serve(t, &engine.Server{Callbacks: echo})()
			var all strings.Builder
			for i := range 20 {
				fmt.Fprintf(&all, "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02d", i)
			}
			c.send(all.String() + testkit.UpgradeHead("a") + testkit.Masked(engine.Text, "first"))
			for i := range 20 {
				if _, body := c.readResponse(); body != fmt.Sprintf(`POST /page "%02d"`, i) {
					t.Fatalf("answer %d: %q", i, body)
				}
			}
			c.wantUpgraded()
			c.wantMessage(engine.Text, "first")
			c.exchange("and on")
		})
	}
}

// A listener of package tls hides its descriptor; the error says what does its work.
func TestServeOfATLSListenerSaysWhatToSet(t *testing.T) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &engine.Server{Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { _ = srv.Close() })
	if err := srv.Serve(tls.NewListener(nl, testkit.NewIdentity(t, "server").Server())); err == nil || !strings.Contains(err.Error(), "ListenOptions.TLS") {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := nl.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is not closed: %v", err)
	}
}

func TestServeHTTPOverForeignTLSIs501(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Logger: slog.New(slog.DiscardHandler)}
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: srv}
	served := make(chan error, 1)
	go func() { served <- web.Serve(tls.NewListener(nl, id.Server())) }()
	t.Cleanup(func() {
		_ = web.Close()
		_ = srv.Close()
		within(t, "the end of net/http", served)
	})
	c := dialRaw(t, nl.Addr().String()).secured(id.Client())
	c.send(testkit.UpgradeHead("a"))
	if _, body := c.wantRefused(http.StatusNotImplemented); !strings.Contains(body, "NewTLSListener") {
		t.Errorf("body %q does not say what to do", body)
	}
	if n := srv.Conns(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}
