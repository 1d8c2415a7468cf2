package handshake

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// answered is a good 101 to testKey with lines added, or replaced by "=Name: v".
func answered(t testing.TB, lines ...string) *Response {
	t.Helper()
	r, err := ParseResponse([]byte(answerHead("HTTP/1.1 101 Switching Protocols", lines...)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func answerHead(start string, lines ...string) string {
	all := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: " + AcceptKey(testKey)}
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "="); ok {
			name, _, _ := strings.Cut(rest, ":")
			all = slices.DeleteFunc(all, func(l string) bool { return strings.HasPrefix(l, name+":") })
			line = rest
		}
		all = append(all, line)
	}
	return start + "\r\n" + strings.Join(all, "\r\n") + "\r\n\r\n"
}

func TestClientRequestPassesOurServer(t *testing.T) {
	want := &ClientRequest{
		Host: "example.com:8080", RequestURI: "/chat?x=1", Key: NewKey(), Origin: "http://example.com:8080",
		Subprotocols: []string{"a", "b"}, Extensions: "permessage-deflate; client_max_window_bits",
		Header: map[string][]string{"Cookie": {"sid=1"}},
	}
	head, err := AppendClientRequest(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	req, err := judge(string(head))
	if err != nil {
		t.Fatalf("%v\n%s", err, head)
	}
	if v, _ := req.Cookie("sid"); v != "1" || req.Host() != want.Host || !SameHost(req) || req.Header("User-Agent") != "" {
		t.Errorf("%s", head)
	}
	params, _ := NegotiateDeflate(req, DeflateOptions{})
	answer, err := AppendResponse(nil, req, SelectSubprotocol(req, []string{"b"}), FormatDeflate(params), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := ParseResponse(answer)
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := res.Check(want)
	if err != nil || agreed.Subprotocol != "b" || agreed.Deflate == nil || !agreed.Deflate.ServerNoContextTakeover {
		t.Errorf("%+v, %v", agreed, err)
	}
}

func TestClientRequestBytes(t *testing.T) {
	got, err := AppendClientRequest(nil, &ClientRequest{Host: "a", Key: testKey})
	want := "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

// H13 on the client's side
func TestClientRequestRefusesWhatWouldEndALine(t *testing.T) {
	for name, change := range map[string]func(*ClientRequest){
		"no host":                 func(r *ClientRequest) { r.Host = "" },
		"host with CR LF":         func(r *ClientRequest) { r.Host = "a\r\nX: y" },
		"host with path":          func(r *ClientRequest) { r.Host = "a/b" },
		"target with CR LF":       func(r *ClientRequest) { r.RequestURI = "/\r\nX: y" },
		"target with space":       func(r *ClientRequest) { r.RequestURI = "/a b" },
		"target with fragment":    func(r *ClientRequest) { r.RequestURI = "/#a" },
		"relative target":         func(r *ClientRequest) { r.RequestURI = "a" },
		"no key":                  func(r *ClientRequest) { r.Key = "" },
		"key with CR LF":          func(r *ClientRequest) { r.Key = testKey + "\r\n" },
		"origin with LF":          func(r *ClientRequest) { r.Origin = "http://a\nX: y" },
		"subprotocol with CR LF":  func(r *ClientRequest) { r.Subprotocols = []string{"a\r\nX: y"} },
		"subprotocol with comma":  func(r *ClientRequest) { r.Subprotocols = []string{"a,b"} },
		"empty subprotocol":       func(r *ClientRequest) { r.Subprotocols = []string{""} },
		"subprotocol twice":       func(r *ClientRequest) { r.Subprotocols = []string{"a", "a"} },
		"extensions with CR LF":   func(r *ClientRequest) { r.Extensions = "a\r\nX: y" },
		"extensions malformed":    func(r *ClientRequest) { r.Extensions = "a b" },
		"header value with CR LF": func(r *ClientRequest) { r.Header = map[string][]string{"X": {"a\r\nY: z"}} },
		"header name with LF":     func(r *ClientRequest) { r.Header = map[string][]string{"X\n": {"a"}} },
		"second Host":             func(r *ClientRequest) { r.Header = map[string][]string{"host": {"a"}} },
		"second key":              func(r *ClientRequest) { r.Header = map[string][]string{"Sec-Websocket-Key": {"a"}} },
		"body":                    func(r *ClientRequest) { r.Header = map[string][]string{"Content-Length": {"3"}} },
		"second Origin": func(r *ClientRequest) {
			r.Origin = "http://a"
			r.Header = map[string][]string{"origin": {"http://b"}}
		},
	} {
		r := &ClientRequest{Host: "a", Key: testKey}
		change(r)
		got, err := AppendClientRequest([]byte("before"), r)
		var refused *HeaderError
		if !errors.As(err, &refused) || string(got) != "before" {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
}

func TestKeysAreSixteenRandomBytes(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		key := NewKey()
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil || len(raw) != 16 || !isKey(key) || seen[key] {
			t.Fatalf("%q: %v, seen %v", key, err, seen[key])
		}
		seen[key] = true
	}
}

// H12: a 101 that breaks the rules is refused.
func TestCheckRefusesHostileResponses(t *testing.T) {
	const head = "Sec-WebSocket-Extensions: "
	const offered = "x-own; a=1, permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12"
	const good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10"
	tests := []struct {
		name, header string // header that the error names
		start        string
		lines        []string
	}{
		{"HTTP/1.0", "", "HTTP/1.0 101 x", nil},
		{"no Upgrade", "Upgrade", "", []string{"=Upgrade: h2c"}},
		{"Upgrade list", "Upgrade", "", []string{"=Upgrade: websocket, h2c"}},
		{"two Upgrades", "Upgrade", "", []string{"Upgrade: websocket"}},
		{"no Connection", "Connection", "", []string{"=Connection: close"}},
		{"wrong accept", "Sec-WebSocket-Accept", "", []string{"=Sec-WebSocket-Accept: " + AcceptKey("x3JJHMbDL1EzLkh9GBhXDw==")}},
		{"the key itself", "Sec-WebSocket-Accept", "", []string{"=Sec-WebSocket-Accept: " + testKey}},
		{"accept in other case", "Sec-WebSocket-Accept", "", []string{"=Sec-WebSocket-Accept: " + strings.ToLower(AcceptKey(testKey))}},
		{"empty accept", "Sec-WebSocket-Accept", "", []string{"=Sec-WebSocket-Accept:"}},
		{"two accepts", "Sec-WebSocket-Accept", "", []string{"Sec-WebSocket-Accept: " + AcceptKey(testKey)}},
		{"body", "Content-Length", "", []string{"Content-Length: 5"}},
		{"subprotocol not offered", "Sec-WebSocket-Protocol", "", []string{"Sec-WebSocket-Protocol: c"}},
		{"subprotocol in other case", "Sec-WebSocket-Protocol", "", []string{"Sec-WebSocket-Protocol: A"}},
		{"two subprotocols", "Sec-WebSocket-Protocol", "", []string{"Sec-WebSocket-Protocol: a, b"}},
		{"two subprotocol headers", "Sec-WebSocket-Protocol", "", []string{"Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"}},
		{"empty subprotocol", "Sec-WebSocket-Protocol", "", []string{"Sec-WebSocket-Protocol:"}},
		{"extension not offered", "Sec-WebSocket-Extensions", "", []string{head + "x-other"}},
		{"extension twice", "Sec-WebSocket-Extensions", "", []string{head + good + ", " + good}},
		{"extension twice in two lines", "Sec-WebSocket-Extensions", "", []string{head + "x-own", head + "x-own"}},
		{"extension malformed", "Sec-WebSocket-Extensions", "", []string{head + good + "; "}},
		{"window bits 7", "Sec-WebSocket-Extensions", "", []string{head + "permessage-deflate; server_no_context_takeover; server_max_window_bits=7"}},
		{"window bits 16", "Sec-WebSocket-Extensions", "", []string{head + good + "; client_max_window_bits=16"}},
		{"server window not bounded", "Sec-WebSocket-Extensions", "", []string{head + "permessage-deflate; server_no_context_takeover"}},
		{"server window too large", "Sec-WebSocket-Extensions", "", []string{head + "permessage-deflate; server_no_context_takeover; server_max_window_bits=11"}},
		{"client window too large", "Sec-WebSocket-Extensions", "", []string{head + good + "; client_max_window_bits=13"}},
		{"client window without a value", "Sec-WebSocket-Extensions", "", []string{head + good + "; client_max_window_bits"}},
		{"server takeover", "Sec-WebSocket-Extensions", "", []string{head + "permessage-deflate; server_max_window_bits=10"}},
		{"unknown parameter", "Sec-WebSocket-Extensions", "", []string{head + good + "; bogus"}},
		{"parameter twice", "Sec-WebSocket-Extensions", "", []string{head + good + "; server_no_context_takeover"}},
	}
	want := &ClientRequest{Host: "a", Key: testKey, Subprotocols: []string{"a", "b"}, Extensions: offered}
	if agreed, err := answered(t, head+good+", x-own; b=2", "Sec-WebSocket-Protocol: b").Check(want); err != nil ||
		agreed.Subprotocol != "b" || len(agreed.Extensions) != 2 || agreed.Deflate.ServerMaxWindowBits != 10 {
		t.Fatalf("a good response: %+v, %v", agreed, err)
	}
	for _, test := range tests {
		if test.start == "" {
			test.start = "HTTP/1.1 101 Switching Protocols"
		}
		res, err := ParseResponse([]byte(answerHead(test.start, test.lines...)))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		agreed, err := res.Check(want)
		var refused *ResponseError
		if !errors.As(err, &refused) || refused.Header != test.header {
			t.Errorf("%s: %v", test.name, err)
		}
		if agreed.Subprotocol != "" || agreed.Extensions != nil || agreed.Deflate != nil {
			t.Errorf("%s: something was agreed: %+v", test.name, agreed)
		}
	}
	plain := &ClientRequest{Host: "a", Key: testKey}
	for _, line := range []string{head + "permessage-deflate", "Sec-WebSocket-Protocol: a"} {
		if _, err := answered(t, line).Check(plain); err == nil {
			t.Errorf("%s: nothing was offered", line)
		}
	}
	if _, err := answered(t, head+"permessage-deflate; client_max_window_bits=10").Check(
		&ClientRequest{Key: testKey, Extensions: "permessage-deflate"}); err == nil {
		t.Error("client_max_window_bits was not offered")
	}
	if _, err := answered(t, head+"permessage-deflate; server_max_window_bits=9; client_no_context_takeover").Check(
		&ClientRequest{Key: testKey, Extensions: "permessage-deflate"}); err != nil {
		t.Errorf("a server may add these unasked: %v", err)
	}
}

// H12: an endless or malformed head of a response ends in a typed error.
func TestResponseHeadsAreBounded(t *testing.T) {
	var s Scanner
	_, err := s.Scan([]byte("HTTP/1.1 101 x\r\nX: "+strings.Repeat("a", 1<<16)), Limits{})
	if !errors.Is(err, ErrHeadTooLarge) {
		t.Errorf("endless head: %v", err)
	}
	for _, head := range []string{"", "HTTP/1.1 101 x\r\n", "HTTP/1.1 101 x\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/1.1 101 x\n\n", "HTTP/1.1 101 x\r\n\r\nbody", "ICY 200 OK\r\n\r\n"} {
		_, err := ParseResponse([]byte(head))
		var refused *ResponseError
		if !errors.As(err, &refused) || !errors.Is(err, ErrMalformedHead) {
			t.Errorf("%q: %v", head, err)
		}
	}
}

// H12: an answer that is no 101 can be read by the caller and is not followed.
func TestOtherStatusesAreReadable(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	check := func(head string) *StatusError {
		t.Helper()
		res, err := ParseResponse([]byte(head))
		if err != nil {
			t.Fatal(err)
		}
		_, err = res.Check(&ClientRequest{Key: testKey})
		var status *StatusError
		if !errors.As(err, &status) {
			t.Fatalf("%q: %v", head, err)
		}
		return status
	}
	e := check("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\n\r\n")
	if e.Status != 401 || e.Reason != "Unauthorized" || e.Header["Www-Authenticate"][0] != "Basic" {
		t.Errorf("%+v", e)
	}
	if e := check("HTTP/1.0 302\r\nLocation: /x\r\n\r\n"); e.Location() != "/x" || e.Reason != "" {
		t.Errorf("%+v", e)
	}
	if e := check("HTTP/1.1 200 OK\r\n\r\n"); e.Location() != "" {
		t.Errorf("%+v", e)
	}
	if e := check("HTTP/1.1 404 caf\xe9\tsociety\r\n\r\n"); e.Reason != "caf\xe9\tsociety" { // RFC 9112 §4
		t.Errorf("%+v", e)
	}
	for value, want := range map[string]time.Duration{
		"5":                             5 * time.Second,
		"0":                             0,
		"999999999999999999":            24 * time.Hour,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Thu, 01 Jan 2026 03:04:15 GMT": 0,
		"Fri, 02 Jan 2099 03:04:15 GMT": 24 * time.Hour,
		"-5":                            -1,
		"soon":                          -1,
		"":                              -1,
	} {
		got, ok := check("HTTP/1.1 503 x\r\nRetry-After: " + value + "\r\n\r\n").RetryAfter(now)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("Retry-After %q: %v, %v", value, got, ok)
		}
	}
	if _, ok := check("HTTP/1.1 503 x\r\n\r\n").RetryAfter(now); ok {
		t.Error("Retry-After out of nothing")
	}
}
