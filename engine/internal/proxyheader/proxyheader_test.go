package proxyheader

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/pires/go-proxyproto"
)

// What is read from a header depends neither on how it is cut nor on what
// follows it, and is what the library reads when it has everything.
func FuzzProxyHeader(f *testing.F) {
	v2 := string(proxyproto.SIGV2)
	for _, seed := range []string{
		"PROXY TCP4 203.0.113.7 198.51.100.1 51000 443\r\nGET / HTTP/1.1\r\n",
		"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n",
		"PROXY UNKNOWN\r\n", "PROXY", "PROXY \n", "GET / HTTP/1.1\r\n", "\r\n\r\n\x00", "",
		v2 + "\x21\x11\x00\x0c\xcb\x00\x71\x07\xc6\x33\x64\x01\xc7\x38\x01\xbbrest",
		v2 + "\x20\x00\x00\x00", v2 + "\x20\x11\x00\x01x", v2 + "\x21\x11\xff\xff", v2 + "\x21\x31\x00\xd8" + string(make([]byte, 216)),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ends, n, err := Parse(b)
		if n == 0 && err == nil {
			if len(b) >= Max {
				t.Fatal("more is wanted than a header can have")
			}
			return
		}
		if n > len(b) || n > Max || err != nil && (n != 0 || ends != nil) {
			t.Fatalf("n = %d of %d, %v", n, len(b), err)
		}
		for cut := range b { // the first verdict stands
			e, m, cutErr := Parse(b[:cut])
			if m == 0 && cutErr == nil {
				continue
			}
			if m != n || (cutErr == nil) != (err == nil) || endsText(e) != endsText(ends) {
				t.Fatalf("%d octets say %v, %d, %v; all %d say %v, %d, %v", cut, e, m, cutErr, len(b), ends, n, err)
			}
			break
		}
		h, libErr := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
		if (libErr == nil) != (err == nil) {
			t.Fatalf("we say %v, the library %v", err, libErr)
		}
		if ends != nil && endsText(ends) != h.SourceAddr.String()+" "+h.DestinationAddr.String() {
			t.Fatalf("we say %v, the library %v", ends, h)
		}
	})
}

func endsText(e *Ends) string {
	if e == nil {
		return ""
	}
	return e.Remote.String() + " " + e.Local.String()
}
