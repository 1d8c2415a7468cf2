package engine_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

const sampleKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// request is an opening handshake with one part replaced.
func request(addr, old, new string) string {
	head := testkit.UpgradeHead(addr)
	if !strings.Contains(head, old) {
		panic("not in the head: " + old)
	}
	return strings.Replace(head, old, new, 1)
}

// H05, H06, H07
func TestBrokenRequestsAreRefusedAndClosed(t *testing.T) {
	addr := listen(t, &engine.Server{})
	host := "Host: " + addr + "\r\n"
	version := "Sec-WebSocket-Version: 13\r\n"
	cases := map[string]struct {
		head   string
		status int
	}{
		"space before colon":      {request(addr, "Upgrade:", "Upgrade :"), 400},
		"two Hosts":               {request(addr, host, host+host), 400},
		"no Host":                 {request(addr, host, ""), 400},
		"two keys":                {request(addr, sampleKey, sampleKey+sampleKey), 400},
		"no key":                  {request(addr, sampleKey, ""), 400},
		"key of 15 bytes":         {request(addr, "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400},
		"key that is not base64":  {request(addr, "dGhlIHNhbXBsZSBub25jZQ==", "!!!!IHNhbXBsZSBub25jZQ=="), 400},
		"Content-Length":          {request(addr, host, host+"Content-Length: 5\r\n"), 400},
		"chunked body":            {request(addr, host, host+"Transfer-Encoding: chunked\r\n"), 400},
		"bare LF":                 {request(addr, host, strings.Replace(host, "\r\n", "\n", 1)), 400},
		"bare CR":                 {request(addr, host, "X: a\rb\r\n"+host), 400},
		"NUL":                     {request(addr, host, "X: a\x00b\r\n"+host), 400},
		"empty name":              {request(addr, host, ": a\r\n"+host), 400},
		"HTTP version unfinished": {request(addr, "HTTP/1.1", "HTTP/1.:"), 400},
		"obs-fold":                {request(addr, host, host+"X: a\r\n b\r\n"), 400},
		"no Connection":           {request(addr, "Connection: Upgrade\r\n", ""), 400},
		"Connection: close":       {request(addr, "Connection: Upgrade", "Connection: close"), 400},
		"no version":              {request(addr, version, ""), 400},
		"version 99":              {request(addr, version, "Sec-WebSocket-Version: 99\r\n"), 426},
		"POST":                    {request(addr, "GET", "POST"), 405},
		"HTTP/1.0":                {request(addr, "HTTP/1.1", "HTTP/1.0"), 505},
		"HTTP/2 preface":          {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"TLS ClientHello":         {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		"other Upgrade":           {request(addr, "Upgrade: websocket", "Upgrade: h2c"), 426},
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

// H05
func TestTwoConnectionHeadersAreLegal(t *testing.T) {
	addr := listen(t, &engine.Server{})
	c := dialRaw(t, addr)
	c.send(request(addr, "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"))
	c.wantUpgraded()
}

// H06
func TestSecondRequestAfterRefusalIsIgnored(t *testing.T) {
	opened := make(chan struct{}, 1)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(*engine.WebSocket, *engine.Request) { opened <- struct{}{} },
	})
	c := dialRaw(t, addr)
	c.send(request(addr, "Version: 13", "Version: 99") + testkit.UpgradeHead(addr))
	resp, _ := c.readResponse()
	if resp.StatusCode != http.StatusUpgradeRequired {
		t.Fatalf("status %d, want 426", resp.StatusCode)
	}
	c.send(testkit.UpgradeHead(addr)) // and once more, in a read of its own
	c.wantEOF()
	select {
	case <-opened:
		t.Error("the second request was served")
	default:
	}
}

// H08
func TestOriginPolicy(t *testing.T) {
	list := handshake.AllowOrigins("https://example.com", "https://*.example.org")
	named := func(req *handshake.Request) bool { return req.Query() == "letmein" || req.Origin() == "" }
	cases := []struct {
		name   string
		policy handshake.OriginPolicy
		origin string // OWN: the server's; "": none sent
		status int
	}{
		{"default", nil, "OWN", 101},
		{"default", nil, "", 101},
		{"default", nil, "https://evil.example", 403},
		{"default", nil, "null", 403},
		{"default", nil, "file://", 403},
		{"list", list, "https://example.com", 101},
		{"list", list, "https://chat.example.org", 101},
		{"list", list, "https://example.org", 403},
		{"list", list, "https://example.com.evil.example", 403},
		{"list", list, "null", 403},
		{"list", list, "OWN", 403},
		{"list", list, "", 101},
		{"required", handshake.RequireOrigin(list), "", 403},
		{"required", handshake.RequireOrigin(list), "https://example.com", 101},
		{"function", named, "https://evil.example", 403},
		{"function", named, "", 101},
		{"any", handshake.AllowAnyOrigin, "null", 101},
	}
	for _, c := range cases {
		t.Run(c.name+" "+c.origin, func(t *testing.T) {
			addr := listen(t, &engine.Server{Origin: c.policy, Loops: 1})
			client := dialRaw(t, addr)
			switch c.origin {
			case "":
				client.send(testkit.UpgradeHead(addr))
			case "OWN":
				client.send(testkit.UpgradeHead(addr, "Origin: http://"+addr))
			default:
				client.send(testkit.UpgradeHead(addr, "Origin: "+c.origin))
			}
			if c.status == 101 {
				client.wantUpgraded()
			} else {
				client.wantRefused(c.status)
			}
		})
	}
}

// H10, H11: without compression the good offers are declined like the others.
func TestDeflateOfferIsDeclined(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo})
	for _, offer := range []string{
		"permessage-deflate; server_max_window_bits=7",
		"permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits",
		"permessage-deflate; server_max_window_bits=abc",
		"permessage-deflate; client_max_window_bits=99",
		"permessage-deflate; unknown_parameter",
		"permessage-deflate; server_no_context_takeover=1",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
		"permessage-deflate; =",
		"permessage-deflate; server_max_window_bits=7, permessage-deflate",
		"permessage-deflate",
		"x-webkit-deflate-frame",
	} {
		t.Run(offer, func(t *testing.T) {
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr, "Sec-WebSocket-Extensions: "+offer))
			resp := c.wantUpgraded()
			if got := resp.Header.Values("Sec-WebSocket-Extensions"); len(got) > 0 {
				t.Errorf("the offer was answered with %q", got)
			}
			c.send(testkit.Masked(engine.Text, "plain"))
			c.wantMessage(engine.Text, "plain")
		})
	}
}

// H13
func TestHeaderThatWouldSplitTheAnswerIsRefused(t *testing.T) {
	for name, header := range map[string]http.Header{
		"CRLF in value": {"X-Name": {"a\r\nSet-Cookie: stolen=1"}},
		"LF in value":   {"X-Name": {"a\nb"}},
		"CR in value":   {"X-Name": {"a\rb"}},
		"NUL in value":  {"X-Name": {"a\x00b"}},
		"CRLF in name":  {"X-Name\r\nSet-Cookie": {"stolen=1"}},
		"own accept":    {"Sec-Websocket-Accept": {"mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, book := newLog()
			addr := listen(t, &engine.Server{
				Logger:        log,
				ShouldUpgrade: func(*engine.Request) (http.Header, error) { return header, nil },
			})
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr))
			resp, body := c.wantRefused(http.StatusInternalServerError)
			if resp.Header.Get("Set-Cookie") != "" || strings.Contains(body, "stolen") {
				t.Errorf("the header got through: %v %q", resp.Header, body)
			}
			if n := book.count("header that may not be sent"); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
		})
	}
}

func TestSubprotocolIsTheServersFirstChoice(t *testing.T) {
	agreed := make(chan string, 1)
	addr := listen(t, &engine.Server{
		Subprotocols: []string{"chat.v2", "chat.v1"},
		OnUpgrade:    func(ws *engine.WebSocket, _ *engine.Request) { agreed <- ws.Subprotocol() },
	})
	for offer, want := range map[string]string{
		"Sec-WebSocket-Protocol: chat.v1, chat.v2": "chat.v2",
		"Sec-WebSocket-Protocol: chat.v1, other":   "chat.v1",
		"Sec-WebSocket-Protocol: CHAT.V1":          "",
		"X-None: 1":                                "",
	} {
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr, offer))
		resp := c.wantUpgraded()
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != want {
			t.Errorf("%s: answered %q, want %q", offer, got, want)
		}
		if got := within(t, "OnUpgrade", agreed); got != want {
			t.Errorf("%s: Subprotocol is %q, want %q", offer, got, want)
		}
	}
}

// R07
func TestConnectionsOverTheLimitGet503(t *testing.T) {
	srv := &engine.Server{Callbacks: echo, Limits: engine.Limits{MaxConnections: 2}}
	addr := listen(t, srv)
	first, second := openRaw(t, addr), openRaw(t, addr)
	for range 3 {
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		c.wantRefused(http.StatusServiceUnavailable)
		_ = c.Close()
	}
	first.send(testkit.Masked(engine.Text, "unmoved"))
	first.wantMessage(engine.Text, "unmoved")
	_ = second.Close()
	eventually(t, "the place of the closed connection", func() bool { return srv.Conns() == 1 })
	openRaw(t, addr)
}

func TestRequestForNoWebSocketGets426(t *testing.T) {
	addr := listen(t, &engine.Server{})
	c := dialRaw(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
	resp, _ := c.wantRefused(http.StatusUpgradeRequired)
	if resp.Header.Get("Upgrade") != "websocket" {
		t.Errorf("the answer does not say what to upgrade to: %v", resp.Header)
	}
}
