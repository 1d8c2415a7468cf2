package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// chunked is a request with a body in the chunked coding.
const chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

// scanBody feeds octets to b, cut at the given offsets, as a connection does: what
// is not accepted is passed again with more behind it.
func scanBody(b Body, octets []byte, lim Limits, cuts ...int) (n int, done bool, err error) {
	for _, cut := range append(cuts, len(octets)) {
		k, end, err := b.Scan(octets[n:max(cut, n)], lim)
		n += k
		if end || err != nil {
			return n, end, err
		}
	}
	return n, false, nil
}

var bodies = map[string]struct {
	rest string // behind the head
	n    int    // octets of the body
}{
	"nothing":             {"0\r\n\r\nGET", 5},
	"one chunk":           {"5\r\nhello\r\n0\r\n\r\nGET", 15},
	"two chunks":          {"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 20},
	"hex":                 {"00aA\r\n" + strings.Repeat("x", 170) + "\r\n0\r\n\r\n", 183},
	"many zeros":          {"000000000000001\r\nx\r\n000\r\n\r\n", 27},
	"extensions":          {"1;a=b;c=\"d e\"\r\nx\r\n0;e\r\n\r\n", 25},
	"trailer":             {"1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\nGET", 25},
	"line of 1 KiB":       {"1;" + strings.Repeat("a", 1<<10-4) + "\r\nx\r\n0\r\n\r\n", 1<<10 + 8},
	"octets like framing": {"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", 16},
}

// R-g: the same octets are accepted for every cut.
func TestBodyEndsWhereItDoesForEveryCut(t *testing.T) {
	for name, test := range bodies {
		rest := []byte(test.rest)
		for first := range len(rest) + 1 {
			for second := first; second <= len(rest); second += 1 + len(rest)/40 {
				n, done, err := scanBody(parse(t, chunked).Body(), rest, Limits{}, first, second)
				if n != test.n || !done || err != nil {
					t.Fatalf("%s cut at %d and %d: %d, %v, %v; want %d", name, first, second, n, done, err, test.n)
				}
			}
		}
		for end := range test.n {
			if _, done, err := scanBody(parse(t, chunked).Body(), rest[:end], Limits{}); done || err != nil {
				t.Fatalf("%s, %d octets: %v, %v", name, end, done, err)
			}
		}
	}
}

func TestBodyByContentLength(t *testing.T) {
	for head, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                             0,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":       0,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n":       5,
		"GET / HTTP/1.0\r\nContent-Length: 0000005\r\n\r\n":             5,
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 00000012\r\n\r\n": 12,
	} {
		octets := []byte("0\r\n\r\nhello world, and the next")
		for cut := range len(octets) {
			n, done, err := scanBody(parse(t, head).Body(), octets, Limits{}, cut)
			if n != want || !done || err != nil {
				t.Fatalf("%q cut at %d: %d, %v, %v; want %d", head, cut, n, done, err, want)
			}
		}
	}
	large := parse(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n").Body()
	if n, done, err := large.Scan(make([]byte, 100), Limits{}); n != 100 || done || err != nil || large.left != 1e18-1-100 {
		t.Errorf("%d, %v, %v, %d left", n, done, err, large.left)
	}
}

// R-g: what two parsers could end in two places is refused, at the octet that shows
// it, for every cut.
func TestBodyRefusesWhatTwoParsersReadInTwoWays(t *testing.T) {
	for name, test := range map[string]struct {
		rest   string
		n      int // accepted before that
		status int
	}{
		"bare LF behind the size":  {"1\nx\r\n0\r\n\r\n", 1, 400},
		"bare LF behind the chunk": {"1\r\nx\n0\r\n\r\n", 4, 400},
		"bare LF in an extension":  {"1;a\nx\r\n0\r\n\r\n", 3, 400},
		"bare CR in an extension":  {"1;a\rb\r\nx\r\n", 4, 400},
		"NUL in an extension":      {"1;a\x00b\r\nx\r\n", 3, 400},
		"space behind the size":    {"1 \r\nx\r\n0\r\n\r\n", 1, 400},
		"space before ;":           {"1 ;a\r\nx\r\n0\r\n\r\n", 1, 400},
		"space before the size":    {" 1\r\nx\r\n", 0, 400},
		"no size":                  {"\r\n", 0, 400},
		"extension without a size": {";a\r\n", 0, 400},
		"sign":                     {"-1\r\n", 0, 400},
		"plus":                     {"+1\r\n", 0, 400},
		"0x":                       {"0x1\r\nx\r\n", 1, 400},
		"underscore":               {"1_0\r\n", 1, 400},
		"not hex":                  {"g\r\n", 0, 400},
		"too large":                {"ffffffffffffffff\r\n", 15, 400},
		"too many zeros":           {"0000000000000001\r\n", 15, 400},
		"chunk longer than said":   {"1\r\nxy\r\n", 4, 400},
		"chunk shorter than said":  {"3\r\nx\r\n0\r\n\r\n", 6, 400},
		"endless line":             {"1;" + strings.Repeat("a", 1<<12), 1<<10 - 1, 400},
		"no CR behind the end":     {"0\r\n\n", 3, 400},
		"folded trailer":           {"0\r\nX: y\r\n z\r\n\r\n", 3, 400},
		"trailer without a colon":  {"0\r\nX\r\n\r\n", 3, 400},
		"trailer with a bare LF":   {"0\r\nX: y\n\r\n", 3, 400},
		"trailer of length":        {"0\r\ncontent-length: 5\r\n\r\n", 3, 400},
		"trailer of coding":        {"0\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n", 3, 400},
		"trailer of host":          {"0\r\nHost: b\r\n\r\n", 3, 400},
		"endless trailer":          {"0\r\nX: " + strings.Repeat("a", 9<<10), 3, 431},
		"too many trailers":        {"0\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n", 3, 431},
		"request behind no end":    {"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 3, 400},
	} {
		rest := []byte(test.rest)
		for cut := 0; cut <= len(rest); cut += 1 + len(rest)/50 {
			n, done, err := scanBody(parse(t, chunked).Body(), rest, Limits{}, cut)
			if n != test.n || done || statusOf(t, err) != test.status {
				t.Fatalf("%s cut at %d: %d, %v, %v; want %d and %d", name, cut, n, done, err, test.n, test.status)
			}
			if test.status == 400 && !errors.Is(err, ErrMalformedBody) && !errors.Is(err, ErrMalformedHead) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	body := parse(t, chunked).Body() // and again, when asked again
	for range 3 {
		if n, _, err := body.Scan([]byte("\n"), Limits{}); n != 0 || statusOf(t, err) != 400 {
			t.Errorf("%d, %v", n, err)
		}
	}
}

func TestBodyDoesNotAllocate(t *testing.T) {
	req := parse(t, chunked)
	rest := []byte(bodies["two chunks"].rest)
	if got := testing.AllocsPerRun(100, func() {
		body := req.Body()
		if _, done, err := body.Scan(rest, Limits{}); !done || err != nil {
			panic("refused")
		}
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

// framed are the requests at the front of a stream, as a connection finds them.
type framed struct {
	head string
	body string // with its coding
}

// frame cuts octets into requests. rest is where the first that is not whole or not
// valid begins.
func frame(octets []byte, cuts ...int) (requests []framed, rest int, err error) {
	for rest < len(octets) {
		n, err := scanPieces(octets[rest:], Limits{})
		if n == 0 || err != nil {
			return requests, rest, err
		}
		req, err := ParseRequest(octets[rest : rest+n])
		if err != nil {
			return requests, rest, err
		}
		behind := octets[rest+n:]
		var within []int
		for _, cut := range cuts {
			within = append(within, min(max(cut-rest-n, 0), len(behind)))
		}
		k, done, err := scanBody(req.Body(), behind, Limits{}, within...)
		if !done || err != nil {
			return requests, rest, err
		}
		requests = append(requests, framed{string(octets[rest : rest+n]), string(behind[:k])})
		rest += n + k
	}
	return requests, rest, nil
}

// R-g: whatever comes in, the same requests are found for every cut, and net/http
// finds them in the same octets, with bodies that it can read: what is handed on to
// it cannot be smuggled past it or us.
func FuzzRequestStream(f *testing.F) {
	const get = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	const length = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	f.Add([]byte(get+length+get), uint16(40))
	f.Add([]byte(length+"\r\n"+get), uint16(60))
	f.Add([]byte(strings.Replace(length, "5", "3", 1)+get), uint16(3))
	f.Add([]byte("PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n"+get), uint16(3))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), uint16(3))
	f.Add([]byte(browserHead+"\x81\x85abcdhello"), uint16(3))
	for _, test := range bodies {
		f.Add([]byte(get+chunked+test.rest), uint16(len(test.rest)))
	}
	for _, rest := range []string{"1\nx\r\n0\r\n\r\n", "1;a\nx\r\n0\r\n\r\n", "1 \r\nx\r\n0\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\nhello", "ffffffffffffffff\r\n", "0\r\nX: y\r\n z\r\n\r\n", "1\r\nxy\r\n0\r\n\r\n"} {
		f.Add([]byte(chunked+rest+get), uint16(70))
	}
	f.Fuzz(func(t *testing.T, octets []byte, at uint16) {
		requests, rest, err := frame(octets)
		cut := cutAt(octets, at)
		again, rest2, err2 := frame(octets, cut)
		if len(again) != len(requests) || rest2 != rest || errorText(err2) != errorText(err) {
			t.Fatalf("cut at %d: %d requests, %d, %v; whole: %d, %d, %v", cut, len(again), rest2, err2, len(requests), rest, err)
		}
		in := bufio.NewReader(bytes.NewReader(octets[:rest]))
		for _, want := range requests {
			req, err := http.ReadRequest(in)
			if err != nil {
				t.Fatalf("net/http refuses %q: %v", want.head, err)
			}
			before := len(want.body)
			_, err = io.Copy(io.Discard, req.Body)
			switch {
			case err != nil && strings.Contains(err.Error(), "trailer"), // longer than its buffer
				err != nil && strings.Contains(err.Error(), "non-data"): // many extensions
				return // it ends the connection
			case err != nil:
				t.Fatalf("net/http refuses the body %q: %v", want.body, err)
			case before == 0 && req.ContentLength != 0:
				t.Fatalf("net/http expects a body behind %q", want.head)
			}
		}
		if left, _ := io.Copy(io.Discard, in); left != 0 {
			t.Fatalf("net/http leaves %d octets of %q", left, octets[:rest])
		}
	})
}
