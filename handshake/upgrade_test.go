package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// H05, H06, H07: what CheckUpgrade answers.
func TestCheckUpgradeStatuses(t *testing.T) {
	const start = "GET /chat HTTP/1.1"
	tests := []struct {
		name   string
		head   string
		status int // 0: accepted
		header string
	}{
		{"plain", upgradeHead(start), 0, ""},
		{"two Connection headers", upgradeHead(start, "Connection: keep-alive", "+Connection: Upgrade"), 0, ""},
		{"two Connection headers, upgrade first", upgradeHead(start, "+Connection: close"), 0, ""},
		{"Connection list", upgradeHead(start, "Connection: ,keep-alive ,\tUPGRADE"), 0, ""},
		{"Upgrade in capitals", upgradeHead(start, "Upgrade: WebSocket"), 0, ""},
		{"Upgrade list", upgradeHead(start, "Upgrade: h2c, websocket"), 0, ""},
		{"Content-Length 0", upgradeHead(start, "+Content-Length: 0"), 0, ""},
		{"subprotocol offered twice", upgradeHead(start, "+Sec-WebSocket-Protocol: a, a"), 0, ""},
		{"Host with port", upgradeHead(start, "Host: [2001:db8::1]:8080"), 0, ""},

		{"POST", upgradeHead("POST /chat HTTP/1.1"), 405, "Allow: GET"},
		{"HEAD", upgradeHead("HEAD /chat HTTP/1.1"), 405, "Allow: GET"},
		{"HEAD without Upgrade, like GET", upgradeHead("HEAD /chat HTTP/1.1", "-Upgrade"), 426, "Upgrade: websocket"}, // RFC 9110 §9.3.2
		{"get", upgradeHead("get /chat HTTP/1.1"), 405, "Allow: GET"},
		{"HTTP/1.0", upgradeHead("GET /chat HTTP/1.0"), 505, ""},
		{"HTTP/1.2", upgradeHead("GET /chat HTTP/1.2"), 505, ""},
		{"HTTP/2.0", upgradeHead("GET /chat HTTP/2.0"), 505, ""},
		{"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, ""},
		{"TLS ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 64), 400, ""},
		{"no Upgrade", upgradeHead(start, "-Upgrade"), 426, "Upgrade: websocket"},
		{"Upgrade h2c", upgradeHead(start, "Upgrade: h2c"), 426, "Upgrade: websocket"},
		{"Upgrade with a long s", upgradeHead(start, "Upgrade: web\u017focket"), 426, "Upgrade: websocket"},
		{"no Connection", upgradeHead(start, "-Connection"), 400, ""},
		{"Connection keep-alive", upgradeHead(start, "Connection: keep-alive"), 400, ""},
		{"Connection upgraded", upgradeHead(start, "Connection: upgraded"), 400, ""},
		{"empty Host", upgradeHead(start, "Host:"), 400, ""},
		{"version missing", upgradeHead(start, "-Sec-WebSocket-Version"), 400, ""},
		{"version twice", upgradeHead(start, "+Sec-WebSocket-Version: 13"), 400, ""},
		{"version 99", upgradeHead(start, "Sec-WebSocket-Version: 99"), 426, "Sec-WebSocket-Version: 13"},
		{"version 8", upgradeHead(start, "Sec-WebSocket-Version: 8"), 426, "Sec-WebSocket-Version: 13"},
		{"version 013", upgradeHead(start, "Sec-WebSocket-Version: 013"), 426, "Sec-WebSocket-Version: 13"},
		{"version list", upgradeHead(start, "Sec-WebSocket-Version: 13, 8"), 426, "Sec-WebSocket-Version: 13"},
		{"key missing", upgradeHead(start, "-Sec-WebSocket-Key"), 400, ""},
		{"key empty", upgradeHead(start, "Sec-WebSocket-Key:"), 400, ""},
		{"key twice", upgradeHead(start, "+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, ""},
		{"key of 15 bytes", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), 400, ""},
		{"key of 17 bytes", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXg="), 400, ""},
		{"key of 18 bytes", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXh4"), 400, ""},
		{"key without padding", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), 400, ""},
		{"key padded early", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ==="), 400, ""},
		{"key not base64", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="), 400, ""},
		{"key in URL alphabet", upgradeHead(start, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2-_ZQ=="), 400, ""},
		{"Content-Length", upgradeHead(start, "+Content-Length: 5"), 400, ""},
		{"chunked body", upgradeHead(start, "+Transfer-Encoding: chunked"), 400, ""},
		{"two Origins", upgradeHead(start, "+Origin: http://a", "+Origin: http://b"), 400, ""},
		{"subprotocol not a token", upgradeHead(start, "+Sec-WebSocket-Protocol: a b"), 400, ""},
	}
	for _, test := range tests {
		_, err := judge(test.head)
		if got := statusOf(t, err); got != test.status {
			t.Errorf("%s: status %d (%v), want %d", test.name, got, err, test.status)
			continue
		}
		if test.status == 0 {
			continue
		}
		answer := string(AppendRejection(nil, err, "GET", someDate))
		if test.header != "" && !strings.Contains(answer, "\r\n"+test.header+"\r\n") {
			t.Errorf("%s: no %q in %q", test.name, test.header, answer)
		}
		connection := "close"
		if test.status == 426 {
			connection = "close, Upgrade"
		}
		if !strings.Contains(answer, "\r\nConnection: "+connection+"\r\n") {
			t.Errorf("%s: no Connection: %s in %q", test.name, connection, answer)
		}
		if test.status == 426 && !strings.Contains(answer, "\r\nUpgrade: websocket\r\n") { // RFC 9110 §15.5.22
			t.Errorf("%s: 426 does not say to what: %q", test.name, answer)
		}
	}
}

func TestIsUpgradeLeavesPlainHTTPAlone(t *testing.T) {
	for head, want := range map[string]bool{
		upgradeHead("GET / HTTP/1.1"):                   true,
		upgradeHead("POST / HTTP/1.1"):                  true, // CheckUpgrade answers 405
		upgradeHead("GET / HTTP/1.1", "-Connection"):    true,
		upgradeHead("GET / HTTP/1.1", "-Upgrade"):       false,
		upgradeHead("GET / HTTP/1.1", "Upgrade: h2c"):   false,
		upgradeHead("GET / HTTP/1.1", "Upgrade: web"):   false,
		"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n":  false,
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade:\r\n\r\n": false,
	} {
		if got := parse(t, head).IsUpgrade(); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

// RFC 6455 §1.3 has this key and this answer.
func TestAcceptKeyOfTheRFC(t *testing.T) {
	if got := AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func TestAppendResponse(t *testing.T) {
	r := parse(t, browserHead)
	got, err := AppendResponse([]byte("before"), r, "chat.v1", "permessage-deflate", map[string][]string{"X-A": {"1", "2"}})
	want := "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat.v1\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate\r\nX-A: 1\r\nX-A: 2\r\n\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got[len("before"):])), nil)
	if err != nil || res.StatusCode != 101 {
		t.Errorf("net/http reads it as %v, %v", res, err)
	}
}

// H13: the application can neither end a line nor take over the handshake.
func TestAppendResponseRefusesWhatTheApplicationMustNotAdd(t *testing.T) {
	r := parse(t, browserHead)
	tests := []struct {
		name, subprotocol, extensions string
		extra                         map[string][]string
	}{
		{name: "CR LF in a value", extra: map[string][]string{"X": {"a\r\nSet-Cookie: b"}}},
		{name: "LF in a value", extra: map[string][]string{"X": {"ok", "a\nb"}}},
		{name: "CR in a value", extra: map[string][]string{"X": {"a\rb"}}},
		{name: "NUL in a value", extra: map[string][]string{"X": {"a\x00b"}}},
		{name: "CR LF in a name", extra: map[string][]string{"X: y\r\nZ": {"a"}}},
		{name: "empty name", extra: map[string][]string{"": {"a"}}},
		{name: "name with space", extra: map[string][]string{"X ": {"a"}}},
		{name: "name with colon", extra: map[string][]string{"X:": {"a"}}},
		{name: "Upgrade", extra: map[string][]string{"upgrade": {"h2c"}}},
		{name: "Connection", extra: map[string][]string{"CONNECTION": {"close"}}},
		{name: "Accept", extra: map[string][]string{"Sec-Websocket-Accept": {"x"}}},
		{name: "Extensions", extra: map[string][]string{"Sec-Websocket-Extensions": {"x"}}},
		{name: "Content-Length", extra: map[string][]string{"Content-Length": {"5"}}},
		{name: "Transfer-Encoding", extra: map[string][]string{"Transfer-Encoding": {"chunked"}}},
		{name: "subprotocol not offered", subprotocol: "chat.v3"},
		{name: "subprotocol with CR LF", subprotocol: "chat.v1\r\nX: y"},
		{name: "two subprotocols", subprotocol: "chat.v2, chat.v1"},
		{name: "extensions with CR LF", extensions: "a\r\nX: y"},
	}
	for _, test := range tests {
		got, err := AppendResponse([]byte("before"), r, test.subprotocol, test.extensions, test.extra)
		var refused *HeaderError
		if !errors.As(err, &refused) || string(got) != "before" {
			t.Errorf("%s: %v, %q", test.name, err, got)
		}
	}
}

func TestFromHTTPJudgesLikeParseRequest(t *testing.T) {
	heads := []string{
		browserHead,
		upgradeHead("GET /a%20b?q HTTP/1.1"),
		upgradeHead("GET / HTTP/1.1", "Sec-WebSocket-Version: 99"),
		upgradeHead("GET / HTTP/1.1", "Connection: keep-alive", "+Connection: Upgrade"),
		upgradeHead("GET / HTTP/1.1", "+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		upgradeHead("GET / HTTP/1.1", "+Content-Length: 5"),
		upgradeHead("GET / HTTP/1.1", "+Transfer-Encoding: chunked"),
		upgradeHead("GET / HTTP/1.1", "Host: a.com, b.com"),
		upgradeHead("GET / HTTP/1.1", "-Host"),
		upgradeHead("POST / HTTP/1.1"),
		upgradeHead("GET / HTTP/1.0"),
		upgradeHead("GET / HTTP/2.0"),
	}
	for _, head := range heads {
		h, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := FromHTTP(h.Method, h.RequestURI, h.Host, h.Header, h.Proto, h.ContentLength)
		if err == nil {
			err = got.CheckUpgrade()
		}
		want, wantErr := judge(head)
		if statusOf(t, err) != statusOf(t, wantErr) {
			t.Errorf("%q: %v, from the socket %v", head, err, wantErr)
		}
		if err == nil && (got.Path() != want.Path() || got.Host() != want.Host() || got.Origin() != want.Origin()) {
			t.Errorf("%q: parts differ", head)
		}
	}
}

func TestFromHTTPTakesNoLineBreaks(t *testing.T) {
	good := parse(t, browserHead).HeaderMap()
	if _, err := FromHTTP("GET", "/", "a", good, "HTTP/1.1", 0); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() (*Request, error){
		"method": func() (*Request, error) {
			return FromHTTP("GET / HTTP/1.1\r\nX: y\r\nA", "/", "a", good, "HTTP/1.1", 0)
		},
		"target": func() (*Request, error) { return FromHTTP("GET", "/ HTTP/1.1\r\nX:", "a", good, "HTTP/1.1", 0) },
		"host":   func() (*Request, error) { return FromHTTP("GET", "/", "a\r\nX: y", good, "HTTP/1.1", 0) },
		"header": func() (*Request, error) {
			return FromHTTP("GET", "/", "a", map[string][]string{"A": {"b\r\nX: y"}}, "HTTP/1.1", 0)
		},
		"proto": func() (*Request, error) { return FromHTTP("GET", "/", "a", good, "HTTP/1.1\r\nX: y", 0) },
	} {
		if _, err := call(); statusOf(t, err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, length := range []int64{-1, 5} {
		r, err := FromHTTP("GET", "/", "a", good, "HTTP/1.1", length)
		if err != nil || statusOf(t, r.CheckUpgrade()) != 400 {
			t.Errorf("a body of length %d is not seen: %v", length, err)
		}
	}
}
