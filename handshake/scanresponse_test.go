package handshake

import (
	"errors"
	"strings"
	"testing"
)

// scanAnswer feeds answer to one ResponseScanner, cut at the given offsets.
func scanAnswer(answer string, lim Limits, cuts ...int) (resp *Response, n int, err error) {
	var s ResponseScanner
	for _, cut := range append(cuts, len(answer)) {
		if resp, n, err = s.Scan([]byte(answer)[:cut], lim); resp != nil || err != nil {
			return resp, n, err
		}
	}
	return resp, n, err
}

const (
	hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
	goOn  = "HTTP/1.1 100 Continue\r\n\r\n"
)

// F-l: interim answers (RFC 9110 §15.2) are not the answer, wherever they are cut.
func TestInterimAnswersAreSkipped(t *testing.T) {
	final := answerHead("HTTP/1.1 101 Switching Protocols")
	for _, before := range []string{"", goOn, hints, goOn + hints + "HTTP/1.1 102\r\nContent-Length: 5\r\n\r\n"} {
		answer := before + final + "\x81\x02hi"
		for cut := range len(answer) + 1 {
			resp, n, err := scanAnswer(answer, Limits{}, cut)
			if err != nil || resp == nil || resp.Status != 101 || n != len(before)+len(final) {
				t.Fatalf("%q cut at %d: %+v, %d, %v", answer, cut, resp, n, err)
			}
		}
	}
	if resp, n, err := scanAnswer(goOn+"HTTP/1.1 503 x\r\n", Limits{}); resp != nil || n != 0 || err != nil {
		t.Errorf("before the end: %+v, %d, %v", resp, n, err)
	}
}

// F-l: but not for ever, and each is held to the limits.
func TestInterimAnswersAreBounded(t *testing.T) {
	final := answerHead("HTTP/1.1 101 Switching Protocols")
	if resp, _, err := scanAnswer(strings.Repeat(goOn, maxInterim)+final, Limits{}); err != nil || resp.Status != 101 {
		t.Errorf("%d: %+v, %v", maxInterim, resp, err)
	}
	for name, answer := range map[string]string{
		"too many":  strings.Repeat(goOn, maxInterim+1),
		"too large": "HTTP/1.1 100 x\r\nX: " + strings.Repeat("a", 9<<10) + "\r\n\r\n" + final,
		"malformed": goOn + "HTTP/1.1 100 x\r\nX : y\r\n\r\n" + final,
		"a request": goOn + "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		resp, _, err := scanAnswer(answer, Limits{})
		var refused *ResponseError
		if resp != nil || !errors.As(err, &refused) {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
	}
}

// F-l: what a 101 says of a body it does not have (RFC 9112 §6.3) changes nothing,
// unless it claims octets.
func TestBodyOf101(t *testing.T) {
	want := &ClientRequest{Host: "a", Key: testKey}
	for _, line := range []string{"Content-Length: 0", "Transfer-Encoding: chunked", "Content-Length: 00"} {
		if _, err := answered(t, line).Check(want); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := answered(t, "Content-Length: 0", "Content-Length: 0", "Transfer-Encoding: x").Check(want); err != nil {
		t.Error(err)
	}
	for _, line := range []string{"Content-Length: 5", "Content-Length:", "Content-Length: 0, 0", "Content-Length: -0"} {
		_, err := answered(t, line, "Content-Length: 0").Check(want)
		var refused *ResponseError
		if !errors.As(err, &refused) || refused.Header != "Content-Length" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// S-b: who refuses a head for its size says by which limit.
func TestLimitErrorNamesTheLimit(t *testing.T) {
	long := "X: " + strings.Repeat("a", 200) + "\r\n\r\n"
	for name, test := range map[string]struct {
		head  string
		limit string
		max   int
	}{
		"header lines": {"HTTP/1.1 101 x\r\n" + strings.Repeat("X: y\r\n", 8), "MaxHeaders", 7},
		"head":         {"HTTP/1.1 101 x\r\n" + long, "MaxHead", 100},
		"start line":   {"HTTP/1.1 101 " + long, "MaxHead", 100},
	} {
		_, _, err := scanAnswer(test.head, Limits{MaxHead: 100, MaxHeaders: 7})
		var over *LimitError
		if !errors.As(err, &over) || over.Limit != test.limit || over.Max != test.max || !errors.Is(err, ErrHeadTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(err.Error(), test.limit) {
			t.Errorf("%s: the error does not name the limit: %v", name, err)
		}
		var s Scanner // and on the server's side, where the peer is not told
		_, err = s.Scan([]byte(strings.Replace(test.head, "HTTP/1.1 101 ", "GET /", 1)), Limits{MaxHead: 100, MaxHeaders: 7})
		var refused *Rejection
		if errors.As(err, &over) && errors.As(err, &refused) && strings.Contains(refused.Reason, test.limit) {
			t.Errorf("%s: the peer is told %q", name, refused.Reason)
		}
	}
}
