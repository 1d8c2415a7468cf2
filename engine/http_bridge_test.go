package engine_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// mount serves srv behind a net/http server, under /chat of a router, and
// returns host:port.
func mount(t *testing.T, srv *engine.Server) string {
	t.Helper()
	return mountWith(t, srv, nil)
}

func page(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, body)
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
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Header("X-Deny") != "" {
				return nil, engine.Reject(http.StatusForbidden, "not here")
			}
			return http.Header{"X-Peer": {req.RemoteAddr()}}, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			_ = ws.SendText(req.Path() + " " + ws.Subprotocol() + " " + ws.RemoteAddr().String())
		},
	})
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr, "Sec-WebSocket-Protocol: chat"))
	if got := c.wantUpgraded().Header.Get("X-Peer"); got != c.LocalAddr().String() {
		t.Errorf("ShouldUpgrade saw the peer %q, want %q", got, c.LocalAddr())
	}
	c.wantMessage(engine.Text, "/chat chat "+c.LocalAddr().String())

	c = dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr, "X-Deny: 1"))
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
		"foreign origin":    {testkit.UpgradeHead(addr, "Origin: https://evil.example"), 403},
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
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			return http.Header{"X-Name": {"a\r\nSet-Cookie: stolen=1"}}, nil
		},
	})
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
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
	c.send(testkit.UpgradeHead(addr))
	c.wantRefused(http.StatusServiceUnavailable)
	first.send(testkit.Masked(engine.Text, "unmoved"))
	first.wantMessage(engine.Text, "unmoved")
	_ = first.Close()
	eventually(t, "the place of the closed connection", func() bool { return srv.Conns() == 0 })
	openRaw(t, addr)
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
	c.send(testkit.UpgradeHead(addr))
	if _, body := c.wantRefused(http.StatusNotImplemented); !strings.Contains(body, "http.TimeoutHandler") {
		t.Errorf("the answer is %q", body)
	}
}

// A refusal has the same headers by a listener of the server and by net/http, whatever it is given: those that
// belong to the connection, describe the body or break the rules of HTTP are left out.
func TestRefusalsHaveTheSameHeadersByBothWays(t *testing.T) {
	given := map[string][]string{
		"Www-Authenticate": {"Basic", "Bearer"}, "retry-after": {"5"},
		"Connection": {"keep-alive"}, "Keep-Alive": {"timeout=5"}, "Proxy-Connection": {"keep-alive"}, "TE": {"trailers"},
		"Trailer": {"X-Late"}, "Trailer:X-Late": {"late"}, "Transfer-Encoding": {"chunked"},
		"content-length": {"1"}, "Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}, "Date": {"yesterday"},
		"A:b": {"c"}, "": {"c"}, "X-Control": {"\x01"}, "X-Split": {"a\r\nSet-Cookie: b"}, "X: y\r\nSplit": {"a"},
	}
	newServer := func() *engine.Server {
		return &engine.Server{ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			return nil, &engine.Rejection{Status: http.StatusUnauthorized, Reason: "log\x00in", Header: given}
		}}
	}
	answers := make(map[string]string)
	for way, addr := range map[string]string{"listener": listen(t, newServer()), "net/http": mount(t, newServer())} {
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		resp, body := c.wantRefused(http.StatusUnauthorized)
		resp.Header.Del("Date")
		answers[way] = fmt.Sprintf("%q, %d octets: %q, chunked %v", resp.Header, resp.ContentLength, body, resp.TransferEncoding)
		if !resp.Close {
			t.Errorf("the answer by %s does not say Connection: close", way)
		}
	}
	want := fmt.Sprintf("%q, 7 octets: %q, chunked []", http.Header{
		"Content-Length": {"7"}, "Content-Type": {"text/plain; charset=utf-8"},
		"Www-Authenticate": {"Basic", "Bearer"}, "Retry-After": {"5"}, "X-Content-Type-Options": {"nosniff"},
	}, "log in\n")
	for way, got := range answers {
		if got != want {
			t.Errorf("by %s:\n%s\nwant\n%s", way, got, want)
		}
	}
}
