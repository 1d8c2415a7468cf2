package handshake

import (
	"bytes"
	"testing"
)

// The slow version is the oracle: every octet, at every place of a word, behind
// octets of either kind.
func TestSpanValueEqualsTheByteWiseSpan(t *testing.T) {
	for _, fill := range []byte{'a', ' ', '\t', 0x80, 0xff, 0x7e, 0x21} {
		for length := range 26 {
			for at := range length {
				for c := range 256 {
					b := bytes.Repeat([]byte{fill}, length)
					b[at] = byte(c)
					if got, want := spanValue(b), span(b, valueOctet); got != want {
						t.Fatalf("%q: %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

// RFC 9110 §5.6.2 and §5.5, written out.
func TestOctetClasses(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		token := alnum || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
		value := c == '\t' || c == ' ' || c >= 0x21 && c <= 0x7e || c >= 0x80
		if got := octets[c]&tokenOctet != 0; got != token {
			t.Errorf("%#x is a token octet: %v", c, got)
		}
		if got := octets[c]&valueOctet != 0; got != value {
			t.Errorf("%#x is a value octet: %v", c, got)
		}
	}
}

func TestEqualFoldKnowsASCIIOnly(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"UpGrade", "uPgRADE", true},
		{"websocket", "web\u017focket", false},
		{"K", "\u212a", false},
		{"[", "{", false},
		{"@", "`", false},
		{"a", "ab", false},
		{"", "", true},
	} {
		if got := equalFold(test.a, test.b); got != test.want {
			t.Errorf("%q %q: %v", test.a, test.b, got)
		}
	}
}
