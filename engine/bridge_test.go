package engine_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// mount serves srv behind a net/http server, under /chat of a router, and
// returns host:port.
func mount(t *testing.T, srv *engine.Server) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.Handle("/chat", srv)
	mux.HandleFunc("/page", page)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		_ = srv.Close()
		web.Close()
	})
	return strings.TrimPrefix(web.URL, "http://")
}

func page(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, body)
}

// fronts are the ways by which a connection becomes a WebSocket.
var fronts = map[string]func(t *testing.T, srv *engine.Server) (addr, before string){
	"listener": func(t *testing.T, srv *engine.Server) (string, string) { return listen(t, srv), "" },
	"listener with BlockingUpgrade": func(t *testing.T, srv *engine.Server) (string, string) {
		srv.BlockingUpgrade = true
		srv.ShouldUpgrade = func(*handshake.Request) (http.Header, error) { return nil, nil }
		return listen(t, srv), ""
	},
	"net/http": func(t *testing.T, srv *engine.Server) (string, string) { return mount(t, srv), "" },
	"net/http, second request": func(t *testing.T, srv *engine.Server) (string, string) {
		return mount(t, srv), "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	},
	"HTTP side, second request": func(t *testing.T, srv *engine.Server) (string, string) {
		srv.HTTP = http.HandlerFunc(page)
		return listen(t, srv), "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	},
}

// H09
func TestFrameBehindTheHeadIsDeliveredOnce(t *testing.T) {
	for name, front := range fronts {
		t.Run(name, func(t *testing.T) {
			addr, before := front(t, &engine.Server{Callbacks: echo})
			early := masked(engine.Text, "first") + masked(engine.Binary, "second")
			for cut := range map[int]bool{len(early): true, 0: true, 1: true, 7: true, len(early) - 1: true} {
				c := dialRaw(t, addr)
				c.send(before + upgradeHead(addr) + early[:cut])
				if before != "" {
					c.wantPage()
				}
				c.wantUpgraded()
				c.send(early[cut:] + masked(engine.Text, "third"))
				c.wantMessage(engine.Text, "first")
				c.wantMessage(engine.Binary, "second")
				c.wantMessage(engine.Text, "third")
				c.send(masked(8, ""))
				c.wantClose(engine.StatusNoStatusRcvd)
			}
		})
	}
}

// H09: more than net/http's own buffer, so that the bytes behind the head lie in
// several places when the connection moves.
func TestLargeFrameBehindTheHeadIsDeliveredOnce(t *testing.T) {
	for name, front := range fronts {
		t.Run(name, func(t *testing.T) {
			addr, before := front(t, &engine.Server{Callbacks: echo})
			large := string(pattern(40 << 10))
			c := dialRaw(t, addr)
			c.send(before + upgradeHead(addr) + masked(engine.Text, "first") + masked(engine.Binary, large))
			if before != "" {
				c.wantPage()
			}
			c.wantUpgraded()
			c.send(masked(engine.Text, "third"))
			c.wantMessage(engine.Text, "first")
			c.wantMessage(engine.Binary, large)
			c.wantMessage(engine.Text, "third")
		})
	}
}

// wantPage reads one answer of page and leaves the connection open.
func (c *rawClient) wantPage() {
	c.t.Helper()
	resp, body := c.readResponse()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, "GET /page") {
		c.t.Fatalf("status %d, body %q; want the page", resp.StatusCode, body)
	}
}

func TestServeHTTPRunsBothClosures(t *testing.T) {
	addr := mount(t, &engine.Server{
		Subprotocols: []string{"chat"},
		ShouldUpgrade: func(req *handshake.Request) (http.Header, error) {
			if req.Header("X-Deny") != "" {
				return nil, engine.Reject(http.StatusForbidden, "not here")
			}
			return http.Header{"X-Peer": {req.RemoteAddr()}}, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, req *handshake.Request) {
			_ = ws.SendText(req.Path() + " " + ws.Subprotocol() + " " + ws.RemoteAddr().String())
		},
	})
	c := dialRaw(t, addr)
	c.send(upgradeHead(addr, "Sec-WebSocket-Protocol: chat"))
	if got := c.wantUpgraded().Header.Get("X-Peer"); got != c.LocalAddr().String() {
		t.Errorf("ShouldUpgrade saw the peer %q, want %q", got, c.LocalAddr())
	}
	c.wantMessage(engine.Text, "/chat chat "+c.LocalAddr().String())

	c = dialRaw(t, addr)
	c.send(upgradeHead(addr, "X-Deny: 1"))
	if _, body := c.wantRefused(http.StatusForbidden); !strings.Contains(body, "not here") {
		t.Errorf("body %q", body)
	}
}

// H05, H06, H08: net/http is more lenient than we are.
func TestServeHTTPRefusesWhatTheListenerRefuses(t *testing.T) {
	addr := mount(t, &engine.Server{})
	cases := map[string]struct {
		head   string
		status int
	}{
		"Content-Length":    {request(addr, "Host:", "Content-Length: 5\r\nHost:") + "hello", 400},
		"two keys":          {request(addr, sampleKey, sampleKey+sampleKey), 400},
		"version 99":        {request(addr, "Version: 13", "Version: 99"), 426},
		"no version":        {request(addr, "Sec-WebSocket-Version: 13\r\n", ""), 400},
		"foreign origin":    {upgradeHead(addr, "Origin: https://evil.example"), 403},
		"no WebSocket":      {"GET /chat HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 426},
		"POST":              {request(addr, "GET", "POST"), 405},
		"HTTP/1.0":          {request(addr, "HTTP/1.1", "HTTP/1.0"), 505},
		"Connection: close": {request(addr, "Connection: Upgrade", "Connection: close"), 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := dialRaw(t, addr)
			client.send(c.head)
			resp, _ := client.wantRefused(c.status)
			if name == "version 99" && resp.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("426 without Sec-WebSocket-Version: 13, but %v", resp.Header)
			}
		})
	}
}

// H13
func TestServeHTTPRefusesHeaderThatWouldSplitTheAnswer(t *testing.T) {
	addr := mount(t, &engine.Server{
		ShouldUpgrade: func(*handshake.Request) (http.Header, error) {
			return http.Header{"X-Name": {"a\r\nSet-Cookie: stolen=1"}}, nil
		},
	})
	c := dialRaw(t, addr)
	c.send(upgradeHead(addr))
	if resp, _ := c.wantRefused(http.StatusInternalServerError); resp.Header.Get("Set-Cookie") != "" {
		t.Error("the header got through")
	}
}

// R07
func TestServeHTTPKeepsTheConnectionLimit(t *testing.T) {
	srv := &engine.Server{Callbacks: echo, Limits: engine.Limits{MaxConnections: 1}}
	addr := mount(t, srv)
	first := openRaw(t, addr)
	c := dialRaw(t, addr)
	c.send(upgradeHead(addr))
	c.wantRefused(http.StatusServiceUnavailable)
	first.send(masked(engine.Text, "unmoved"))
	first.wantMessage(engine.Text, "unmoved")
	_ = first.Close()
	eventually(t, "the place of the closed connection", func() bool { return srv.Conns() == 0 })
	openRaw(t, addr)
}

func TestServeHTTPOverTLSIs501(t *testing.T) {
	srv := &engine.Server{Logger: slog.New(slog.DiscardHandler)}
	web := httptest.NewTLSServer(srv)
	t.Cleanup(func() {
		web.Close()
		_ = srv.Close()
	})
	req, err := http.NewRequest(http.MethodGet, web.URL+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	resp, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := bufio.NewReader(resp.Body).ReadString('\n')
	if resp.StatusCode != http.StatusNotImplemented || !strings.Contains(body, "TLS") {
		t.Errorf("status %d, body %q; want 501 with the reason", resp.StatusCode, body)
	}
}

// noHijack is middleware that hides the connection.
type noHijack struct{ w http.ResponseWriter }

func (n noHijack) Header() http.Header         { return n.w.Header() }
func (n noHijack) Write(p []byte) (int, error) { return n.w.Write(p) }
func (n noHijack) WriteHeader(status int)      { n.w.WriteHeader(status) }

func TestServeHTTPBehindOpaqueMiddlewareIs501(t *testing.T) {
	srv := &engine.Server{Logger: slog.New(slog.DiscardHandler)}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(noHijack{w}, r)
	}))
	t.Cleanup(func() {
		web.Close()
		_ = srv.Close()
	})
	addr := strings.TrimPrefix(web.URL, "http://")
	c := dialRaw(t, addr)
	c.send(upgradeHead(addr))
	c.wantRefused(http.StatusNotImplemented)
}
