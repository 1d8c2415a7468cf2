package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

func webServer(t *testing.T) string {
	return listen(t, &engine.Server{HTTP: http.HandlerFunc(page), Callbacks: echo})
}

func TestPlainRequestGoesToTheHTTPHandler(t *testing.T) {
	addr := webServer(t)
	cases := map[string]struct{ request, want string }{
		"GET":          {"GET /page HTTP/1.1\r\nHost: a\r\n\r\n", `GET /page ""`},
		"body":         {"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", `POST /page "hello"`},
		"chunked body": {"POST /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", `POST /page "hello"`},
		"other method": {"PUT /page HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", `PUT /page "x"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for cut := range c.request {
				client := dialRaw(t, addr)
				client.send(c.request[:cut])
				client.send(c.request[cut:])
				if _, body := client.readResponse(); body != c.want {
					t.Fatalf("cut at %d: %q, want %q", cut, body, c.want)
				}
			}
		})
	}
}

func TestPipelinedRequestsAreAllAnswered(t *testing.T) {
	addr := webServer(t)
	c := dialRaw(t, addr)
	var all strings.Builder
	for i := range 20 {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", i)
	}
	c.send(all.String())
	for i := range 20 {
		if _, body := c.readResponse(); body != fmt.Sprintf(`POST /%d "x"`, i) {
			t.Fatalf("answer %d: %q", i, body)
		}
	}
	c.send("GET /kept HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, body := c.readResponse(); body != `GET /kept ""` {
		t.Fatalf("after a pause: %q", body)
	}
}

func TestBodyLargerThanOneReadReachesTheHTTPHandler(t *testing.T) {
	addr := webServer(t)
	c := dialRaw(t, addr)
	body := string(pattern(300 << 10))
	go func() { // the handler may answer while the rest is under way
		_, _ = fmt.Fprintf(c.Conn, "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}()
	if _, got := c.readResponse(); got != fmt.Sprintf("POST /page %q", body) {
		t.Fatalf("%d bytes came back, want %d", len(got), len(body))
	}
}

func TestUnhappyHTTPConnectionIsClosed(t *testing.T) {
	addr := webServer(t)
	c := dialRaw(t, addr)
	c.send("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if resp, _ := c.wantRefused(http.StatusOK); !resp.Close {
		t.Error("the answer does not say that the connection ends")
	}
}

// F-n: a connection counts whoever serves it, until it is closed.
func TestConnectionsGivenToHTTPCount(t *testing.T) {
	srv := &engine.Server{HTTP: http.HandlerFunc(page), Limits: engine.Limits{MaxConnections: 1}}
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	for range 3 {
		c.send(firstRequest)
		c.wantPage()
		if n := srv.Conns(); n != 1 {
			t.Errorf("%d connections are counted, want 1", n)
		}
		other := dialRaw(t, addr)
		other.send(firstRequest)
		other.wantRefused(http.StatusServiceUnavailable)
		_ = other.Close()
		eventually(t, "the end of the refused", func() bool { return srv.Conns() == 1 })
	}
	_ = c.Close()
	eventually(t, "the place of the closed connection", func() bool { return srv.Conns() == 0 && srv.Stats().HTTP == 0 })
	openRaw(t, addr)
}

func TestMalformedUpgradeDoesNotReachTheHTTPHandler(t *testing.T) {
	addr := listen(t, &engine.Server{HTTP: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the HTTP handler was asked")
	})})
	for old, new := range map[string]string{"Version: 13": "Version: 99", sampleKey: "", "Host:": "Host :"} {
		c := dialRaw(t, addr)
		c.send(request(addr, old, new))
		resp, _ := c.readResponse()
		if resp.StatusCode < 400 {
			t.Errorf("%q for %q: status %d", new, old, resp.StatusCode)
		}
		c.wantEOF()
	}
}
