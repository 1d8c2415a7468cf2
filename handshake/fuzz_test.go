package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/httphead"
)

// cutAt turns two bytes of the fuzzer into an offset into b.
func cutAt(b []byte, at uint16) int { return int(at) % (len(b) + 1) }

// Whatever comes in: no panic, the same outcome for every cut, and what is
// accepted here is accepted by net/http and means the same there.
func FuzzRequestHead(f *testing.F) {
	for i, head := range heads {
		f.Add([]byte(head), uint16(i*7))
	}
	f.Add([]byte(upgradeHead("GET /a%2Fb?c HTTP/1.1", "+Content-Length: 5", "+Pragma: no-cache")), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		n, err := scanPieces(b, Limits{})
		cut := cutAt(b, at)
		if n2, err2 := scanPieces(b, Limits{}, cut); n2 != n || errorText(err2) != errorText(err) {
			t.Fatalf("cut at %d: %d, %v; whole: %d, %v", cut, n2, err2, n, err)
		}
		if err != nil || n == 0 {
			return
		}
		req, err := ParseRequest(b[:n])
		var scanned Scanner
		_, _ = scanned.Scan(b, Limits{})
		if again, err2 := scanned.Request(b[:n]); !reflect.DeepEqual(again, req) || errorText(err2) != errorText(err) {
			t.Fatalf("Request of a Scanner: %+v, %v; ParseRequest: %+v, %v", again, err2, req, err)
		}
		if err != nil {
			var r *Rejection
			if !errors.As(err, &r) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[:n])))
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		compareWithHTTP(t, req, theirs)
		compareWithWalk(t, &req.fields)
		if err := req.CheckUpgrade(); err == nil {
			if _, err := AppendResponse(nil, req, SelectSubprotocol(req, req.Subprotocols()), "", nil); err != nil {
				t.Fatalf("accepted and then not answered: %v", err)
			}
		}
		SameHost(req)
		NegotiateDeflate(req, DeflateOptions{})
	})
}

// compareWithWalk compares what is known of the named headers with a walk over all lines.
func compareWithWalk(t *testing.T, f *fields) {
	t.Helper()
	for h := range namedHeaders {
		all := slices.Collect(f.each(h.String()))
		first, n := f.only(h)
		if !slices.Equal(slices.Collect(f.eachOf(h)), all) || n != min(len(all), 2) || n > 0 && first != all[0] || f.Header(h.String()) != first {
			t.Fatalf("%v: %q, %d lines, all %q; a walk finds %q", h, first, n, slices.Collect(f.eachOf(h)), all)
		}
	}
}

func compareWithHTTP(t *testing.T, req *Request, theirs *http.Request) {
	t.Helper()
	path := theirs.URL.Path
	if path == "" {
		path = "/" // an absolute target without a path
	}
	if req.Method() != theirs.Method || req.RequestURI() != theirs.RequestURI || req.Host() != theirs.Host ||
		req.Path() != path || req.Query() != theirs.URL.RawQuery {
		t.Fatalf("%q %q %q %q %q; net/http: %q %q %q %q %q", req.Method(), req.RequestURI(), req.Host(), req.Path(), req.Query(),
			theirs.Method, theirs.RequestURI, theirs.Host, path, theirs.URL.RawQuery)
	}
	ours := req.HeaderMap()
	if _, ok := ours["Transfer-Encoding"]; ok {
		// net/http moves these two into fields of the Request.
		if !slices.Equal(theirs.TransferEncoding, []string{"chunked"}) {
			t.Fatalf("net/http: Transfer-Encoding %q", theirs.TransferEncoding)
		}
		delete(ours, "Transfer-Encoding")
		delete(ours, "Trailer")
	}
	if _, ok := ours["Cache-Control"]; !ok {
		// net/http adds it to a request with Pragma: no-cache.
		delete(theirs.Header, "Cache-Control")
	}
	if len(ours) != len(theirs.Header) {
		t.Fatalf("%q; net/http: %q", ours, theirs.Header)
	}
	for name, values := range ours {
		if !slices.Equal(values, theirs.Header[name]) || req.Header(name) != values[0] {
			t.Fatalf("%s: %q; net/http: %q", name, values, theirs.Header[name])
		}
	}
}

// H12: a hostile server meets no panic, and what Check accepts holds its promises.
func FuzzResponseHead(f *testing.F) {
	for i, head := range heads {
		f.Add([]byte(head), uint16(i*5))
	}
	f.Add([]byte(answerHead("HTTP/1.1 101 x", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a")), uint16(40))
	f.Add([]byte(answerHead("HTTP/1.1 101 x", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9")), uint16(40))
	want := &ClientRequest{Key: testKey, Subprotocols: []string{"a", "b"}, Extensions: "permessage-deflate; client_max_window_bits"}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		n, err := scanPieces(b, Limits{})
		if n2, err2 := scanPieces(b, Limits{}, cutAt(b, at)); n2 != n || errorText(err2) != errorText(err) {
			t.Fatalf("cut: %d, %v; whole: %d, %v", n2, err2, n, err)
		}
		res, err := ParseResponse(b[:n])
		if err != nil {
			var refused *ResponseError
			if !errors.As(err, &refused) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		agreed, err := res.Check(want)
		if err != nil {
			var status *StatusError
			var refused *ResponseError
			if errors.As(err, &status) == errors.As(err, &refused) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if res.Header("Sec-WebSocket-Accept") != AcceptKey(testKey) ||
			agreed.Subprotocol != "" && !slices.Contains(want.Subprotocols, agreed.Subprotocol) {
			t.Fatalf("%+v", agreed)
		}
		for _, e := range agreed.Extensions {
			if e.Name != "permessage-deflate" || agreed.Deflate == nil {
				t.Fatalf("%+v", agreed)
			}
		}
	})
}

// Every element taken here is taken by httphead, which is more lenient, and means
// the same; every negotiated answer is one that the offering client accepts.
func FuzzExtensions(f *testing.F) {
	for _, list := range []string{
		"permessage-deflate", "permessage-deflate; client_max_window_bits", `a; b="c", d;e=f;g`, `x; a="b, permessage-deflate"`,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate", `a; b="c\"d", e`, "a b", "a;", ",,a ;b = c,", "a; b=(c)", "a\t;\tb",
	} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if !isValue(list) {
			return
		}
		for rest := list; rest != ""; {
			var element string
			element, rest = cutExtension(rest)
			if e, ok := parseExtension(element); ok {
				compareWithHTTPHead(t, element, e)
			}
		}
		req := parse(t, upgradeHead("GET / HTTP/1.1", "+Sec-WebSocket-Extensions: "+list))
		if err := req.CheckUpgrade(); err != nil {
			t.Fatalf("extensions never refuse an upgrade: %v", err)
		}
		params, ok := NegotiateDeflate(req, DeflateOptions{})
		if _, all := parseExtensions(list); !ok || !all {
			return
		}
		want := &ClientRequest{Key: testKey, Extensions: list}
		if _, err := answered(t, "Sec-WebSocket-Extensions: "+FormatDeflate(params)).Check(want); err != nil {
			t.Fatalf("%q answered by %q: %v", list, FormatDeflate(params), err)
		}
	})
}

func compareWithHTTPHead(t *testing.T, element string, e Extension) {
	t.Helper()
	// httphead does not know HTAB as whitespace (RFC 9110 §5.6.3).
	options, ok := httphead.ParseOptions([]byte(strings.ReplaceAll(element, "\t", " ")), nil)
	if !ok || len(options) != 1 || string(options[0].Name) != e.Name {
		t.Fatalf("%q: %v; httphead: %v, %v", element, e, options, ok)
	}
	i := 0
	options[0].Parameters.ForEach(func(name, value []byte) bool {
		if i >= len(e.Params) || string(name) != e.Params[i].Name || string(value) != e.Params[i].Value {
			t.Fatalf("%q: %v; httphead: %v", element, e, options)
		}
		i++
		return true
	})
	if i != len(e.Params) {
		t.Fatalf("%q: %v; httphead: %v", element, e, options)
	}
}
