package handshake

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

const browserHead = "GET /chat?room=1 HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Connection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: https://server.example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n" +
	"Cookie: theme=dark; sid=\"31d4d96e407aad42\"\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
	"Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n" +
	"\r\n"

// statusOf gives the status a server answers err with; 0 for nil.
func statusOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var r *Rejection
	if !errors.As(err, &r) {
		t.Fatalf("%T is not a *Rejection: %v", err, err)
	}
	return r.Status
}

// scanPieces feeds head to one Scanner, cut at the given offsets.
func scanPieces(head []byte, lim Limits, cuts ...int) (n int, err error) {
	var s Scanner
	for _, cut := range append(cuts, len(head)) {
		if n, err = s.Scan(head[:cut], lim); n != 0 || err != nil {
			return n, err
		}
	}
	return n, err
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// heads are the seeds of the split property and of the fuzz targets.
var heads = []string{
	browserHead,
	browserHead + "\x81\x85abcdhello",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi",
	"HTTP/1.1 503\r\nRetry-After: 5\r\n\r\n",
	"HTTP/1.0 404 caf\xe9\tsociety\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://example.com:80/x%20y?q=%zz HTTP/1.1\r\nhOST: EXAMPLE.com:80\r\nX: \t a b \t\r\nX:\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\n\r\n",
	"PUT /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
	"GET / HTTP/1.1\r\n: a\r\n\r\n",
	"GET / HTTP/1.:\r\nHost: a\r\n\r\n",
	"GET /\x00 HTTP/1.1\r\n\r\n",
	"GET /" + strings.Repeat("a", 300) + " HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 30) + "\r\n",
	"\r\nGET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\r",
}

// H04: any cut of the input gives the same length or the same error.
func TestScanGivesTheSameForEverySplit(t *testing.T) {
	for _, lim := range []Limits{{}, {MaxHead: 200, MaxHeaders: 20}} {
		for _, text := range heads {
			head := []byte(text)
			wantN, wantErr := scanPieces(head, lim)
			check := func(cuts ...int) {
				t.Helper()
				n, err := scanPieces(head, lim, cuts...)
				if n != wantN || errorText(err) != errorText(wantErr) {
					t.Fatalf("%q cut at %v: %d, %v; whole: %d, %v", text, cuts, n, err, wantN, wantErr)
				}
			}
			every := make([]int, len(head))
			for i := range head {
				every[i] = i
				check(i)
			}
			check(every...)
			rng := rand.New(rand.NewPCG(1, uint64(len(head))))
			for range 20 {
				var cuts []int
				for at := 0; at < len(head); at += 1 + rng.IntN(9) {
					cuts = append(cuts, at)
				}
				check(cuts...)
			}
		}
	}
}

// H09: what follows the head is left alone and found behind n.
func TestScanStopsAtTheEndOfTheHead(t *testing.T) {
	frame := "\x81\x80abcd"
	var s Scanner
	for range 2 {
		n, err := s.Scan([]byte(browserHead+frame), Limits{})
		if err != nil || n != len(browserHead) {
			t.Fatalf("n = %d, %v; want %d", n, err, len(browserHead))
		}
	}
}

// H01, H02: heads over the limits are refused at the octet that goes over.
func TestScanHoldsTheLimits(t *testing.T) {
	const start = "GET / HTTP/1.1\r\n"
	fill := func(n int) string {
		return start + "X: " + strings.Repeat("a", n-len(start)-len("X: \r\n\r\n")) + "\r\n\r\n"
	}
	tests := []struct {
		name   string
		head   string
		lim    Limits
		status int
	}{
		{"8 KiB exactly", fill(8192), Limits{}, 0},
		{"8 KiB and one", fill(8193), Limits{}, 431},
		{"endless header value", start + "X: " + strings.Repeat("a", 1<<16), Limits{}, 431},
		{"endless header name", start + strings.Repeat("a", 1<<16), Limits{}, 431},
		{"endless empty headers", start + strings.Repeat("X:\r\n", 1<<14), Limits{MaxHeaders: 1 << 20}, 431},
		{"endless request line", "GET /" + strings.Repeat("a", 1<<16), Limits{}, 414},
		{"endless method", strings.Repeat("A", 1<<16), Limits{}, 414},
		{"100 headers", start + strings.Repeat("X: y\r\n", 100) + "\r\n", Limits{}, 0},
		{"101 headers", start + strings.Repeat("X: y\r\n", 101) + "\r\n", Limits{}, 431},
		{"own limit", start + "A:\r\nB:\r\n\r\n", Limits{MaxHeaders: 1}, 431},
		{"larger limit", fill(20000), Limits{MaxHead: 20000}, 0},
	}
	for _, test := range tests {
		n, err := scanPieces([]byte(test.head), test.lim)
		if got := statusOf(t, err); got != test.status {
			t.Errorf("%s: status %d (%v), want %d", test.name, got, err, test.status)
		}
		if err != nil && !errors.Is(err, ErrHeadTooLarge) {
			t.Errorf("%s: %v does not wrap ErrHeadTooLarge", test.name, err)
		}
		if err == nil && n != len(test.head) {
			t.Errorf("%s: n = %d, want %d", test.name, n, len(test.head))
		}
	}
	n, err := scanPieces([]byte(fill(9000)[:8191]), Limits{})
	if n != 0 || err != nil {
		t.Errorf("8191 bytes may still become a head: %d, %v", n, err)
	}
	if _, err := scanPieces([]byte(fill(9000)[:8192]), Limits{}); statusOf(t, err) != 431 {
		t.Errorf("8192 bytes without an end cannot become a head: %v", err)
	}
}

// H05, H07: the error comes with the octet that causes it, not at the end.
func TestScanFailsAtTheFirstBadOctet(t *testing.T) {
	const start = "GET / HTTP/1.1\r\n"
	tests := []struct {
		good   string // every prefix of it may still become a head
		bad    string // one octet more and it cannot
		status int
	}{
		{"", "\x16", 400}, // TLS ClientHello
		{"", "\x00", 400},
		{"", "\r", 400},
		{"", " ", 400},
		{"G", "\x01", 400},
		{"GET /", "\xc3", 400},
		{"GET / HTTP/1.1", "\n", 400},
		{"GET / HTTP/1.1\r", "X", 400},
		{"GET / HTTP/1.:", "\r", 400},
		{"GET / HTTP/1.10", "\r", 400},
		{"GET / http/1.1", "\r", 400},
		{"GET  / HTTP/1.1", "\r", 400},
		{"GET /a b HTTP/1.1", "\r", 400},
		{"GET /#f HTTP/1.1", "\r", 400},
		{"GET / HTTP/1.1 ", "\r", 400},
		{"GET /", "\r", 400},
		{"GET", "\r", 400},
		{"G(ET) / HTTP/1.1", "\r", 400},
		{"", "(", 400},
		{"PRI * HTTP/2.0", "\r", 505}, // h2 preface
		{"GET / HTTP/1.2", "\r", 505},
		{"GET / HTTP/0.9", "\r", 505},
		{"HTTP/1.1 1", "\x00", 400},
		{"HTTP/1.1 1x1 no", "\r", 400},
		{"HTTP/1.1 99", "\r", 400},
		{"HTTP/1.1 1011", "\r", 400},
		{"HTTP/1.1 099 x", "\r", 400},
		{"HTTP/2.0 101 x", "\r", 400},
		{start, " ", 400},
		{start, "\t", 400},
		{start, ":", 400},
		{start, "\n", 400},
		{start, "\x00", 400},
		{start + "A: b\r\n", " ", 400},
		{start + "A", " ", 400},
		{start + "A", "\t", 400},
		{start + "A", "\r", 400},
		{start + "A", "\n", 400},
		{start + "A", "(", 400},
		{start + "A", "\xc3", 400},
		{start + "A: b", "\n", 400},
		{start + "A: b", "\x00", 400},
		{start + "A: b", "\x7f", 400},
		{start + "A: b", "\x0b", 400},
		{start + "A: b\r", "\r", 400},
		{start + "A: b\r", "b", 400},
		{start + "A: b\r\n\r", "\r", 400},
		{start + "A: b\r\n\r", "x", 400},
	}
	for _, test := range tests {
		var s Scanner
		b := []byte(test.good)
		for i := range len(b) + 1 {
			if n, err := s.Scan(b[:i], Limits{}); n != 0 || err != nil {
				t.Errorf("%q: %d, %v; want more", b[:i], n, err)
			}
		}
		for range 2 {
			_, err := s.Scan(append(b, test.bad...), Limits{})
			if got := statusOf(t, err); got != test.status {
				t.Errorf("%q then %q: status %d (%v), want %d", test.good, test.bad, got, err, test.status)
			}
		}
	}
}

func TestScannerIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Scanner{}); size > 24 {
		t.Errorf("a Scanner takes %d bytes", size)
	}
}

// A head sent byte by byte costs linear time: every octet is looked at once. The
// Scanner must not look at accepted octets again, so overwriting them changes
// nothing.
func TestScanDoesNotLookAgainAtWhatItAccepted(t *testing.T) {
	head := []byte(browserHead)
	lineEnd := bytes.Index(head, []byte("\r\n")) + 2
	var s Scanner
	for i := range head {
		b := bytes.Clone(head[:i+1])
		if i > lineEnd {
			clear(b[lineEnd:i])
		}
		n, err := s.Scan(b, Limits{})
		if err != nil {
			t.Fatalf("octet %d: %v", i, err)
		}
		if want := i == len(head)-1; (n != 0) != want {
			t.Fatalf("octet %d: n = %d", i, n)
		}
	}
}
