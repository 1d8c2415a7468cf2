package handshake

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func parse(t testing.TB, head string) *Request {
	t.Helper()
	r, err := ParseRequest([]byte(head))
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return r
}

// upgradeHead is a request that passes, with lines changed or added: "Name: value"
// replaces the header or adds it, "-Name" removes it, "+Name: value" adds another.
func upgradeHead(start string, changes ...string) string {
	lines := []string{
		"Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}
	for _, change := range changes {
		name, _, _ := strings.Cut(strings.TrimPrefix(change, "-"), ":")
		if !strings.HasPrefix(change, "+") {
			lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
		}
		if !strings.HasPrefix(change, "-") {
			lines = append(lines, strings.TrimPrefix(change, "+"))
		}
	}
	return start + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// judge runs head through Scan, ParseRequest and CheckUpgrade as a server does.
func judge(head string) (*Request, error) {
	var s Scanner
	n, err := s.Scan([]byte(head), Limits{})
	if err != nil {
		return nil, err
	}
	r, err := ParseRequest([]byte(head)[:n])
	if err != nil {
		return nil, err
	}
	return r, r.CheckUpgrade()
}

func TestRequestGivesItsParts(t *testing.T) {
	r := parse(t, browserHead)
	for _, test := range []struct{ name, got, want string }{
		{"Method", r.Method(), "GET"},
		{"Path", r.Path(), "/chat"},
		{"Query", r.Query(), "room=1"},
		{"RequestURI", r.RequestURI(), "/chat?room=1"},
		{"Host", r.Host(), "server.example.com"},
		{"Origin", r.Origin(), "https://server.example.com"},
		{"Header", r.Header("sec-websocket-VERSION"), "13"},
		{"absent Header", r.Header("X-Absent"), ""},
		{"Subprotocols", strings.Join(r.Subprotocols(), "|"), "chat.v2|chat.v1"},
	} {
		if test.got != test.want {
			t.Errorf("%s = %q, want %q", test.name, test.got, test.want)
		}
	}
	if !r.IsUpgrade() || r.CheckUpgrade() != nil {
		t.Errorf("refused: %v, %v", r.IsUpgrade(), r.CheckUpgrade())
	}
}

func TestRequestTargets(t *testing.T) {
	for _, test := range []struct{ start, host, path, query string }{
		{"GET / HTTP/1.1", "example.com", "/", ""},
		{"GET /a%20b%2Fc?x=%20?y HTTP/1.1", "example.com", "/a b/c", "x=%20?y"},
		{"GET //evil.com/x HTTP/1.1", "example.com", "//evil.com/x", ""},
		{"GET /? HTTP/1.1", "example.com", "/", ""},
		{"GET http://EXAMPLE.com HTTP/1.1", "EXAMPLE.com", "/", ""},
		{"GET HTTPS://example.com?q HTTP/1.1", "example.com", "/", "q"},
		{"GET http://example.com/p?q HTTP/1.1", "example.com", "/p", "q"},
		{"OPTIONS * HTTP/1.1", "example.com", "*", ""},
	} {
		r := parse(t, upgradeHead(test.start))
		if r.Host() != test.host || r.Path() != test.path || r.Query() != test.query {
			t.Errorf("%s: host %q path %q query %q", test.start, r.Host(), r.Path(), r.Query())
		}
	}
}

// H05 and the shapes by which requests are smuggled past one of two parsers:
// all are 400 with ErrMalformedHead, upgrade or not.
func TestParseRefusesWhatTwoParsersReadInTwoWays(t *testing.T) {
	const start = "GET / HTTP/1.1"
	tests := map[string]string{
		"space before colon":          upgradeHead(start, "+X : y"),
		"tab before colon":            upgradeHead(start, "+Content-Length\t: 5"),
		"empty name":                  upgradeHead(start, "+: y"),
		"line without colon":          upgradeHead(start, "+X"),
		"space first in the headers":  start + "\r\n Host: a\r\n\r\n",
		"obs-fold":                    upgradeHead(start, "+X: y\r\n z"),
		"obs-fold by tab":             upgradeHead(start, "+X: y\r\n\tz"),
		"obs-fold to the empty line":  start + "\r\nHost: a\r\n \r\n\r\n",
		"bare LF":                     upgradeHead(start, "+X: y\nContent-Length: 5"),
		"bare LF as the empty line":   start + "\r\nHost: a\r\n\n",
		"bare CR":                     upgradeHead(start, "+X: y\rContent-Length: 5"),
		"CR CR LF":                    upgradeHead(start, "+X: y\r"),
		"NUL in a value":              upgradeHead(start, "+X: y\x00z"),
		"NUL in a name":               upgradeHead(start, "+X\x00: y"),
		"NUL in the target":           upgradeHead("GET /\x00 HTTP/1.1"),
		"vertical tab":                upgradeHead(start, "+X:\x0by"),
		"name with UTF-8":             upgradeHead(start, "+Hóst: y"),
		"quoted name":                 upgradeHead(start, `+"Host": y`),
		"HTTP/1.:":                    upgradeHead("GET / HTTP/1.:"),
		"HTTP/1.10":                   upgradeHead("GET / HTTP/1.10"),
		"HTTP/01.1":                   upgradeHead("GET / HTTP/01.1"),
		"no version":                  upgradeHead("GET /"),
		"two spaces":                  upgradeHead("GET  / HTTP/1.1"),
		"tab for space":               upgradeHead("GET\t/ HTTP/1.1"),
		"space in the target":         upgradeHead("GET /a b HTTP/1.1"),
		"space at the end":            upgradeHead("GET / HTTP/1.1 "),
		"fragment":                    upgradeHead("GET /#x HTTP/1.1"),
		"bad escape":                  upgradeHead("GET /%zz HTTP/1.1"),
		"half an escape":              upgradeHead("GET /%2 HTTP/1.1"),
		"empty line first":            "\r\n" + upgradeHead(start),
		"no Host":                     upgradeHead(start, "-Host"),
		"two Hosts":                   upgradeHead(start, "+Host: example.com"),
		"two Hosts in two spellings":  upgradeHead(start, "+hOST: other.com"),
		"Host list":                   upgradeHead(start, "Host: a.com, b.com"),
		"Host with user":              upgradeHead(start, "Host: a@b.com"),
		"Host with path":              upgradeHead(start, "Host: a.com/b"),
		"Host with bad port":          upgradeHead(start, "Host: a.com:65536"),
		"Host with half a bracket":    upgradeHead(start, "Host: [::1"),
		"Host with IPv4 in brackets":  upgradeHead(start, "Host: [127.0.0.1]"),
		"Host with a zone":            upgradeHead(start, "Host: [fe80::1%25eth0]"),
		"Host behind brackets":        upgradeHead(start, "Host: [::1]evil.com"),
		"target of another host":      upgradeHead("GET http://other.com/ HTTP/1.1"),
		"target with user":            upgradeHead("GET http://u@example.com/ HTTP/1.1"),
		"target of another scheme":    upgradeHead("GET gopher://example.com/ HTTP/1.1"),
		"relative target":             upgradeHead("GET chat HTTP/1.1"),
		"asterisk":                    upgradeHead("GET * HTTP/1.1"),
		"CONNECT":                     upgradeHead("CONNECT example.com:443 HTTP/1.1"),
		"two Content-Lengths":         upgradeHead(start, "+Content-Length: 5", "+Content-Length: 6"),
		"two equal Content-Lengths":   upgradeHead(start, "+Content-Length: 0", "+Content-Length: 0"),
		"Content-Length list":         upgradeHead(start, "+Content-Length: 5, 5"),
		"Content-Length +5":           upgradeHead(start, "+Content-Length: +5"),
		"Content-Length -1":           upgradeHead(start, "+Content-Length: -1"),
		"Content-Length 0x5":          upgradeHead(start, "+Content-Length: 0x5"),
		"Content-Length empty":        upgradeHead(start, "+Content-Length:"),
		"Content-Length of 20 digits": upgradeHead(start, "+Content-Length: 18446744073709551616"),
		"TE and CL":                   upgradeHead(start, "+Content-Length: 5", "+Transfer-Encoding: chunked"),
		"two TEs":                     upgradeHead(start, "+Transfer-Encoding: chunked", "+Transfer-Encoding: identity"),
		"TE list":                     upgradeHead(start, "+Transfer-Encoding: gzip, chunked"),
		"TE xchunked":                 upgradeHead(start, "+Transfer-Encoding: xchunked"),
		"TE empty":                    upgradeHead(start, "+Transfer-Encoding:"),
		"TE in HTTP/1.0":              upgradeHead("GET / HTTP/1.0", "+Transfer-Encoding: chunked"),
		"Content-Length as trailer":   upgradeHead(start, "+Transfer-Encoding: chunked", "+Trailer: X, content-length"),
		"a response":                  "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
	}
	for name, head := range tests {
		_, err := judge(head)
		if got := statusOf(t, err); got != 400 || !errors.Is(err, ErrMalformedHead) {
			t.Errorf("%s: status %d: %v", name, got, err)
		}
		// ParseRequest does not trust that a Scanner ran before it.
		if _, err := ParseRequest([]byte(head)); statusOf(t, err) != 400 {
			t.Errorf("%s: ParseRequest alone: %v", name, err)
		}
	}
}

func TestParseWantsExactlyOneHead(t *testing.T) {
	for _, head := range []string{"", "GET / HTTP/1.1\r\nHost: a\r\n", browserHead + "x", browserHead + browserHead} {
		if _, err := ParseRequest([]byte(head)); statusOf(t, err) != 400 {
			t.Errorf("%.40q: %v", head, err)
		}
	}
}

func TestRequestOwnsItsText(t *testing.T) {
	head := []byte(browserHead)
	r, err := ParseRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	clear(head)
	if r.Path() != "/chat" || r.Header("Upgrade") != "websocket" {
		t.Errorf("the request changed with the buffer: %q %q", r.Path(), r.Header("Upgrade"))
	}
}

func TestHeadersKeepOrderAndSpelling(t *testing.T) {
	r := parse(t, "GET / HTTP/1.1\r\nhost: a\r\nX-b:\t 1 2 \t\r\nEmpty:\r\nx-B: 3\r\n\r\n")
	var got []string
	for name, value := range r.Headers() {
		got = append(got, name+"="+value)
	}
	if want := []string{"host=a", "X-b=1 2", "Empty=", "x-B=3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := r.Values("X-B"); !slices.Equal(got, []string{"1 2", "3"}) {
		t.Errorf("Values = %q", got)
	}
	want := map[string][]string{"X-B": {"1 2", "3"}, "Empty": {""}}
	if got := r.HeaderMap(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("HeaderMap = %q, want %q", got, want)
	}
	for range r.Headers() {
		break
	}
}

func TestMoreHeadersThanTheInlineArray(t *testing.T) {
	r := parse(t, upgradeHead("GET / HTTP/1.1", "+A: "+strings.Repeat("x\r\nA: ", 60)+"last"))
	if v := r.Values("a"); len(v) != 61 || v[60] != "last" || r.Host() != "example.com" {
		t.Errorf("%d values, host %q", len(v), r.Host())
	}
}

func TestCookie(t *testing.T) {
	r := parse(t, upgradeHead("GET / HTTP/1.1", `+Cookie: a=1; b="2"; flag; c=x=y`, "+Cookie: d=; a=9"))
	for _, test := range []struct {
		name, want string
		ok         bool
	}{
		{"a", "1", true}, {"b", "2", true}, {"c", "x=y", true}, {"d", "", true},
		{"A", "", false}, {"flag", "", false}, {"e", "", false},
	} {
		if got, ok := r.Cookie(test.name); got != test.want || ok != test.ok {
			t.Errorf("Cookie(%q) = %q, %v", test.name, got, ok)
		}
	}
}
