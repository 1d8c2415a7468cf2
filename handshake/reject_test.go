package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const someDate = "Fri, 02 Jan 2026 03:04:05 GMT"

func TestRejectionIsAWholeResponse(t *testing.T) {
	secret := errors.New("db at 10.0.0.3 is down")
	tests := []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"plain", Reject(403, "not here"), 403, "not here\n"},
		{"wrapped", fmt.Errorf("upgrade: %w", Reject(401, "log in")), 401, "log in\n"},
		{"no reason", Reject(503, ""), 503, "Service Unavailable\n"},
		{"cause stays inside", &Rejection{Status: 503, Reason: "later", Cause: secret}, 503, "later\n"},
		{"foreign error", secret, 500, "Internal Server Error\n"},
		{"nil", nil, 500, "Internal Server Error\n"},
		{"nil rejection", (*Rejection)(nil), 500, "Internal Server Error\n"},
		{"status 101", Reject(101, "x"), 500, "Internal Server Error\n"},
		{"status 0", Reject(0, "x"), 500, "Internal Server Error\n"},
		{"status 1000", Reject(1000, "x"), 500, "Internal Server Error\n"},
		{"redirect", &Rejection{Status: 302, Header: map[string][]string{"Location": {"/login"}}}, 302, "Found\n"},
		{"line breaks in the reason", Reject(400, "a\r\nb\x00c"), 400, "a  b c\n"},
		{"unknown status", Reject(418, "teapot"), 418, "teapot\n"},
	}
	for _, test := range tests {
		b := AppendRejection([]byte("before"), test.err, "GET", someDate)
		rest, ok := bytes.CutPrefix(b, []byte("before"))
		in := bufio.NewReader(bytes.NewReader(rest))
		res, err := http.ReadResponse(in, nil)
		if !ok || err != nil {
			t.Fatalf("%s: %q: %v", test.name, b, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != test.status || string(body) != test.body {
			t.Errorf("%s: %d %q %v", test.name, res.StatusCode, body, err)
		}
		if in.Buffered() > 0 || !res.Close || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d bytes left over, close %v, %v", test.name, in.Buffered(), res.Close, res.Header)
		}
		if strings.Contains(string(b), "10.0.0.3") {
			t.Errorf("%s: the cause leaked", test.name)
		}
		// Our own client reads it too.
		head := rest[:bytes.Index(rest, []byte("\r\n\r\n"))+4]
		if own, err := ParseResponse(head); err != nil || own.Status != test.status {
			t.Errorf("%s: ParseResponse: %v, %v", test.name, own, err)
		}
	}
}

// H13: headers of a rejection are held to the same rule; a bad one is left out,
// as a refusal must go out in any case.
func TestRejectionLeavesOutHeadersThatBreakIt(t *testing.T) {
	got := string(AppendRejection(nil, &Rejection{Status: 503, Header: map[string][]string{
		"Retry-After":       {"5"},
		"X-Split":           {"a\r\nSet-Cookie: b"},
		"X: y\r\nSplit":     {"a"},
		"Connection":        {"keep-alive"},
		"content-length":    {"0"},
		"Transfer-Encoding": {"chunked"},
		"Date":              {"yesterday"},
	}}, "GET", someDate))
	want := "HTTP/1.1 503 Service Unavailable\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"X-Content-Type-Options: nosniff\r\nContent-Length: 20\r\nRetry-After: 5\r\n\r\nService Unavailable\n"
	if got != want {
		t.Errorf("%q", got)
	}
}

// F-r: an answer to HEAD, and a 304, has no body (RFC 9112 §6.3); HEAD is told the
// headers that GET would be (RFC 9110 §9.3.2).
func TestRejectionWithoutABody(t *testing.T) {
	for _, test := range []struct {
		method string
		err    error
		length string // Content-Length; "": none
	}{
		{"HEAD", Reject(403, "not here"), "9"},
		{"HEAD", errors.New("secret"), "22"},
		{"GET", &Rejection{Status: 304}, ""},
		{"HEAD", &Rejection{Status: 304}, ""},
	} {
		got := AppendRejection(nil, test.err, test.method, someDate)
		res, err := ParseResponse(got) // which takes one head and nothing else
		if err != nil {
			t.Errorf("%s %v: %v: %q", test.method, test.err, err, got)
		} else if res.Header("Content-Length") != test.length || res.Header("Date") == "" || !res.hasElement(connectionHeader, "close") {
			t.Errorf("%s %v: %q", test.method, test.err, got)
		}
	}
}

// F-r: 426 says to what (RFC 9110 §15.5.22), and whoever sends Upgrade says so in
// Connection (§7.8).
func TestUpgradeOfARejectionIsInItsConnection(t *testing.T) {
	for name, test := range map[string]struct {
		header map[string][]string
		want   string
	}{
		"of the handshake":          {nil, "websocket"},
		"of the application":        {map[string][]string{"upgrade": {"HTTP/2.0"}}, "HTTP/2.0"},
		"that would break its line": {map[string][]string{"Upgrade": {"a\r\nb"}}, "websocket"},
	} {
		got := AppendRejection(nil, &Rejection{Status: 426, Header: test.header}, "HEAD", someDate)
		res, err := ParseResponse(got)
		if err != nil || !res.hasElement(connectionHeader, "close") || !res.hasElement(connectionHeader, "upgrade") ||
			len(res.Values("Upgrade")) != 1 || res.Header("Upgrade") != test.want {
			t.Errorf("%s: %v: %q", name, err, got)
		}
	}
	if got := string(AppendRejection(nil, Reject(403, ""), "GET", someDate)); strings.Contains(got, "pgrade") {
		t.Errorf("nothing is to be upgraded: %q", got)
	}
}

func TestMethodAtTheFrontOfAHead(t *testing.T) {
	for head, want := range map[string]string{
		"": "", "HEAD": "", "HEAD ": "HEAD", "HEAD / HT": "HEAD", "HEADS ": "HEADS", "GET /\x00": "GET", " GET": "", "\x16\x03 ": "",
	} {
		if got := Method([]byte(head)); got != want {
			t.Errorf("%q: %q, want %q", head, got, want)
		}
	}
}

func TestRejectionKeepsItsCause(t *testing.T) {
	cause := errors.New("token expired")
	err := error(&Rejection{Status: 401, Reason: "log in", Cause: cause})
	if !errors.Is(err, cause) || err.Error() != "handshake: 401 Unauthorized: log in: token expired" {
		t.Error(err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{Reject(418, ""), "handshake: 418"},
		{&HeaderError{"X\n", "remove it"}, `handshake: header "X\n": remove it`},
		{&ResponseError{Reason: "a 101 has no body"}, "handshake: the server's response is refused: a 101 has no body"},
		{&ResponseError{Header: "Upgrade", Reason: "missing"}, "handshake: the server's response is refused: Upgrade: missing"},
		{&StatusError{Status: 503}, "handshake: the server answered 503 instead of 101"},
		{&StatusError{Status: 503, Reason: "a\tb"}, `handshake: the server answered 503 instead of 101: "a\tb"`},
		{&StatusError{Status: 403, Reason: "No", Body: []byte("\n not \"you\" \r\nmore")}, `handshake: the server answered 403 instead of 101: "No": "not \"you\""`},
		{&StatusError{Status: 403, Reason: "No", Body: []byte("No\n")}, `handshake: the server answered 403 instead of 101: "No"`},
		{&StatusError{Status: 403, Body: []byte("a\x1b[31mb")}, `handshake: the server answered 403 instead of 101`},
		{&StatusError{Status: 403, Body: []byte("a\xff")}, `handshake: the server answered 403 instead of 101`},
		{&StatusError{Status: 403, Body: []byte("<html>")}, `handshake: the server answered 403 instead of 101`},
		{&StatusError{Status: 403, Body: []byte(strings.Repeat("é", 300))}, `handshake: the server answered 403 instead of 101: "` + strings.Repeat("é", 100) + `..."`},
		{&StatusError{Status: 403, Body: []byte("x" + strings.Repeat("é", 300))}, `handshake: the server answered 403 instead of 101: "x` + strings.Repeat("é", 99) + `..."`},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// The table has the phrases of net/http, but for the two that RFC 9110 renamed.
func TestStatusTextsAreTheUsualOnes(t *testing.T) {
	for status := 100; status < 600; status++ {
		text := statusText(status)
		want := http.StatusText(status)
		switch status {
		case 413:
			want = "Content Too Large"
		case 414:
			want = "URI Too Long"
		}
		if text != "" && text != want {
			t.Errorf("%d: %q", status, text)
		}
	}
	for _, status := range []int{101, 400, 403, 405, 408, 414, 426, 431, 500, 503, 505} {
		if statusText(status) == "" {
			t.Errorf("%d has no text", status)
		}
	}
}
