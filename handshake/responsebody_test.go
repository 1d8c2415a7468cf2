package handshake

import (
	"strings"
	"testing"
)

// However the octets are cut, the same body comes out.
func TestResponseBody(t *testing.T) {
	long := strings.Repeat("0123456789", 3)
	for name, c := range map[string]struct {
		head string // of the response, without its end
		body string
		want string
		done bool
	}{
		"counted":            {"200 OK\r\nContent-Length: 5", "helloHTTP/1.1", "hello", true},
		"counted, cut off":   {"200 OK\r\nContent-Length: 5", "hel", "hel", false},
		"empty":              {"200 OK\r\nContent-Length: 0", "HTTP/1.1", "", true},
		"chunked":            {"401 No\r\nTransfer-Encoding: chunked", "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\nHTTP", "hello", true},
		"chunked, cut off":   {"401 No\r\nTransfer-Encoding: chunked", "3\r\nhel\r\n2\r\nl", "hell", false},
		"chunked, trailers":  {"401 No\r\nTransfer-Encoding: chunked", "3\r\nhel\r\n0\r\nA: b\r\n\r\n", "hel", true},
		"chunked, malformed": {"401 No\r\nTransfer-Encoding: chunked", "3\r\nhel\r\nx\r\nlo", "hel", true},
		"to the end":         {"503 No\r\nA: b", "hello", "hello", false},
		"too long, to end":   {"503 No\r\nA: b", long, long[:20], true},
		"too long, counted":  {"503 No\r\nContent-Length: 30", long, long[:20], true},
		"too long, chunked":  {"503 No\r\nTransfer-Encoding: chunked", "1e\r\n" + long, long[:20], true},
		"none by its status": {"304 No\r\nContent-Length: 5", "hello", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := ParseResponse([]byte("HTTP/1.1 " + c.head + "\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			for size := 1; size <= len(c.body); size++ {
				body, got, done := resp.Body(), []byte(nil), false
				for rest := c.body; rest != "" && !done; rest = rest[min(size, len(rest)):] {
					got, done = body.Append(got, []byte(rest[:min(size, len(rest))]), 20, Limits{})
				}
				if string(got) != c.want || done != c.done {
					t.Errorf("in pieces of %d: %q, done %v; want %q, %v", size, got, done, c.want, c.done)
				}
			}
		})
	}
}

func TestRejectionWithHeaders(t *testing.T) {
	r := Reject(401, "log in first").WithHeader("www-authenticate", "Bearer").WithHeader("WWW-Authenticate", "Basic")
	answer := string(AppendRejection(nil, r, "GET", ""))
	for _, line := range []string{"\r\nWww-Authenticate: Bearer\r\n", "\r\nWww-Authenticate: Basic\r\n"} {
		if !strings.Contains(answer, line) {
			t.Errorf("no line %q in %q", line, answer)
		}
	}
}
