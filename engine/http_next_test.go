package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// judged are requests and what becomes of each: the statuses of the answers, what
// reached the handler, and whether the connection stays.
var judged = map[string]struct{ request, verdict string }{
	"page":                    {"GET /page HTTP/1.1\r\nHost: a\r\n\r\n", `200 GET /page "", stays`},
	"page, absolute":          {"GET http://a:80/page HTTP/1.1\r\nHost: A:\r\n\r\n", `200 GET /page "", stays`},
	"HEAD":                    {"HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n", "200 , stays"},
	"body":                    {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", `200 POST /a "hello", stays`},
	"chunks":                  {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n", `200 POST /a "hello", stays`},
	"body of zero":            {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", `200 POST /a "", stays`},
	"body that is not read":   {"POST /ignored HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "200 ignored, stays"},
	"100":                     {"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", `100 200 POST /a "hello", stays`},
	"100 that nobody needs":   {"POST /ignored HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "200 ignored, ends"},
	"other expectation":       {"GET /page HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", "417 , ends"},
	"HTTP/1.0":                {"GET /page HTTP/1.0\r\n\r\n", `200 GET /page "", ends`},
	"HTTP/1.0 keep-alive":     {"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", `200 GET /page "", stays`},
	"close":                   {"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", `200 GET /page "", ends`},
	"OPTIONS *":               {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "200 , stays"},
	"upgrade":                 {testkit.UpgradeHead("a"), "101"},
	"upgrade of 100 headers":  {testkit.UpgradeHead("a", many("X: y", 95)...), "101"},
	"other upgrade":           {request("a", "websocket", "h2c"), `200 GET /chat "", stays`},
	"400 headers":             {testkit.UpgradeHead("a", many("X: y", 395)...), "431 , ends"},
	"400 headers for a page":  {"GET /page HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 399) + "\r\n", "431 , ends"},
	"head over 8 KiB":         {"GET /page HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 9<<10) + "\r\n\r\n", "431 , ends"},
	"start line over 8 KiB":   {"GET /" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414 , ends"},
	"CL and TE":               {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 , ends"},
	"two CL":                  {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "400 , ends"},
	"CL +5":                   {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", "400 , ends"},
	"TE gzip, chunked":        {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400 , ends"},
	"TE in HTTP/1.0":          {"POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 , ends"},
	"bare LF":                 {"GET /page HTTP/1.1\nHost: a\n\n", "400 , ends"},
	"bare LF in the headers":  {"GET /page HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400 , ends"},
	"bare CR":                 {"GET /page HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400 , ends"},
	"NUL":                     {"GET /page HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", "400 , ends"},
	"fold":                    {"GET /page HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "400 , ends"},
	"space before the colon":  {"GET /page HTTP/1.1\r\nHost : a\r\n\r\n", "400 , ends"},
	"another host's URI":      {strings.Replace(testkit.UpgradeHead("a"), "/chat", "http://b/chat", 1), "400 , ends"},
	"another host's page":     {"GET http://b/page HTTP/1.1\r\nHost: a\r\n\r\n", "400 , ends"},
	"no Host":                 {"GET /page HTTP/1.1\r\n\r\n", "400 , ends"},
	"two Hosts":               {"GET /page HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 , ends"},
	"CONNECT":                 {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "400 , ends"},
	"empty line before it":    {"\r\nGET /page HTTP/1.1\r\nHost: a\r\n\r\n", "400 , ends"},
	"h2 preface":              {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 , ends"},
	"version 99":              {request("a", "Version: 13", "Version: 99"), "426 , ends"},
	"upgrade by POST":         {request("a", "GET", "POST"), "405 , ends"},
	"upgrade with a body":     {request("a", "Host:", "Content-Length: 5\r\nHost:") + "hello", "400 , ends"},
	"foreign origin":          {testkit.UpgradeHead("a", "Origin: https://evil.example"), "403 , ends"},
	"malformed HEAD":          {"HEAD /page HTTP/1.1\r\nHost : a\r\n\r\n", "400 , ends"},
	"bare LF behind the size": {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "400 body, ends"},
	"bare LF behind a chunk":  {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", "400 body, ends"},
	"space behind the size":   {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", "400 body, ends"},
	"trailer of length":       {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", "400 body, ends"},
	"malformed, not read":     {"POST /ignored HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "200 ignored, ends"},
}

// judge is a handler that tells what it was asked.
func judge(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ignored" {
		_, _ = io.WriteString(w, "ignored")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, body)
}

// verdict reads the answers to a request.
func (c *rawClient) verdict(request string) string {
	c.t.Helper()
	method, _, _ := strings.Cut(request, " ")
	statuses := ""
	for {
		resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
		if err != nil {
			c.t.Fatalf("%.40q: after %q: %v", request, statuses, err)
		}
		statuses += fmt.Sprint(resp.StatusCode)
		switch {
		case resp.StatusCode == http.StatusSwitchingProtocols:
			c.exchange("a WebSocket")
			return statuses
		case resp.StatusCode < 200:
			statuses += " "
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			c.t.Fatalf("%.40q: after %q: %v", request, statuses, err)
		}
		text := strings.TrimSuffix(string(body), "\n")
		if resp.StatusCode >= 400 && text != "body" {
			text = "" // a reason
		}
		return statuses + " " + text + ", " + c.stays()
	}
}

// stays says whether a further request is answered.
func (c *rawClient) stays() string {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, firstRequest); err != nil {
		return "ends"
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return "ends"
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(body) != `GET /page ""` {
		c.t.Fatalf("the further request: %d %q", resp.StatusCode, body)
	}
	return "stays"
}

// R-g: every request of a connection passes the same parser and gets the same
// answer, be it the first, one behind another's answer, one that comes with another
// before that is answered, or one in two parts.
func TestEveryRequestIsJudgedLikeTheFirst(t *testing.T) {
	places := map[string]func(c *rawClient, request string){
		"first": func(c *rawClient, request string) { c.send(request) },
		"after an answer": func(c *rawClient, request string) {
			c.send(firstRequest)
			c.wantPage()
			c.send(request)
		},
		"with another before it": func(c *rawClient, request string) {
			c.send(firstRequest + request)
			c.wantPage()
		},
		"after a body, in two parts": func(c *rawClient, request string) {
			c.send("PUT /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + request[:1])
			if _, body := c.readResponse(); body != `PUT /page "x"` {
				c.t.Fatalf("the request before: %q", body)
			}
			c.send(request[1:])
		},
		"after three that were given back": func(c *rawClient, request string) {
			for range 3 {
				c.send(firstRequest[:9])
				c.send(firstRequest[9:])
				c.wantPage()
			}
			c.send(request)
		},
	}
	id := testkit.NewIdentity(t, "server")
	for name, g := range map[string]entrance{"plain": {}, "TLS": {server: id.Server(), client: id.Client()}} {
		srv := &engine.Server{Callbacks: echo, HTTP: http.HandlerFunc(judge)}
		connect := g.listener("127.0.0.1:0", "")(t, srv)
		for place, send := range places {
			t.Run(name+", "+place, func(t *testing.T) {
				for what, want := range judged {
					c := connect()
					c.t = t
					send(c, want.request)
					if got := c.verdict(want.request); got != want.verdict {
						t.Errorf("%s: %q, want %q", what, got, want.verdict)
					}
					_ = c.Close()
				}
			})
		}
		eventually(t, "nobody is left", func() bool { return srv.Conns() == 0 && srv.Stats().HTTP == 0 })
	}
}

// R-g: a request that is cut anywhere gets the same answer behind another.
func TestSecondRequestIsJudgedAlikeWhereverItIsCut(t *testing.T) {
	srv := &engine.Server{Callbacks: echo, HTTP: http.HandlerFunc(judge)}
	connect := entrance{}.listener("127.0.0.1:0", "")(t, srv)
	for _, what := range []string{"chunks", "body", "CL and TE", "bare LF behind a chunk", "trailer of length", "upgrade", "bare LF in the headers"} {
		want := judged[what]
		for cut := range len(want.request) {
			c := connect()
			c.send(firstRequest + want.request[:cut])
			c.wantPage()
			if _, err := io.WriteString(c.Conn, want.request[cut:]); err != nil {
				t.Fatal(err)
			}
			if got := c.verdict(want.request); got != want.verdict {
				t.Fatalf("%s cut at %d: %q, want %q", what, cut, got, want.verdict)
			}
			_ = c.Close()
		}
	}
}

// The context of a request ends with its connection.
func TestContextOfARequestEndsWithItsConnection(t *testing.T) {
	served, ended := make(chan struct{}), make(chan error, 1)
	addr := listen(t, &engine.Server{HTTP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(served)
		<-r.Context().Done()
		ended <- r.Context().Err()
	})})
	c := dialRaw(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	within(t, "the request", served)
	_ = c.Close()
	if err := within(t, "the end of the request", ended); err == nil {
		t.Error("no error")
	}
}

// A handler may take the connection, with what came behind its request.
func TestHandlerMayHijack(t *testing.T) {
	srv := &engine.Server{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		for { // lines that are no HTTP
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(nc, strings.ToUpper(line))
		}
	})}
	addr := listen(t, srv)
	for _, before := range []string{"", "one\n"} {
		c := dialRaw(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: lines\r\nConnection: Upgrade\r\n\r\n" + before)
		c.send("two\nGET / HTTP/1.1\n")
		br := bufio.NewReader(c.br)
		for _, want := range strings.SplitAfter(strings.ToUpper(before)+"TWO\nGET / HTTP/1.1\n", "\n") {
			if want == "" {
				continue
			}
			if line, err := br.ReadString('\n'); err != nil || line != want {
				t.Fatalf("%q, %v; want %q", line, err, want)
			}
		}
		if n := srv.Conns(); n != 1 { // F-n
			t.Errorf("%d connections are counted, want the handler's", n)
		}
		_ = c.Close()
		eventually(t, "the end of the handler", func() bool { return srv.Conns() == 0 })
	}
}

// F-n: what a handler has taken is the server's to end.
func TestServerEndsWhatHandlersHaveTaken(t *testing.T) {
	for name, end := range map[string]func(*engine.Server) error{
		"Close": (*engine.Server).Close,
		"Shutdown": func(srv *engine.Server) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("Shutdown returned %w, want that its context is done", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			taken := make(chan struct{})
			srv := &engine.Server{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				nc, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				go func() {
					_, _ = io.Copy(io.Discard, nc)
					_ = nc.Close()
					_ = nc.Close() // counts once
				}()
				close(taken)
			})}
			c := dialRaw(t, listen(t, srv))
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			within(t, "the handler", taken)
			if err := end(srv); err != nil {
				t.Error(err)
			}
			c.wantGone()
			eventually(t, "nothing is counted", func() bool { return srv.Conns() == 0 && srv.Stats().HTTP == 0 })
		})
	}
}
