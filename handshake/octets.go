package handshake

import (
	"encoding/binary"
	"iter"
	"strings"

	"github.com/gobwas/httphead"
)

// Classes of octets in a head.
const (
	tokenOctet  uint8 = 1 << iota // tchar, RFC 9110 §5.6.2
	valueOctet                    // HTAB, SP, VCHAR, obs-text: RFC 9110 §5.5
	lineOctet                     // SP, VCHAR: what a request line is made of
	targetOctet                   // VCHAR without '#': RFC 9112 §3.2
	hostOctet                     // unreserved, RFC 3986 §2.3
	base64Octet                   // RFC 4648 §4
)

var octets = classify()

func classify() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if httphead.OctetTypes[c].IsToken() {
			t[c] |= tokenOctet
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= valueOctet
		}
		if ' ' <= c && c < 0x7f {
			t[c] |= lineOctet
		}
		if ' ' < c && c < 0x7f && c != '#' {
			t[c] |= targetOctet
		}
		if letter || digit || strings.IndexByte("-._~", c) >= 0 {
			t[c] |= hostOctet
		}
		if letter || digit || c == '+' || c == '/' {
			t[c] |= base64Octet
		}
	}
	return t
}

// span counts the octets of one class at the front of s.
func span[T string | []byte](s T, class uint8) int {
	for i := 0; i < len(s); i++ {
		if octets[s[i]]&class == 0 {
			return i
		}
	}
	return len(s)
}

// spanValue is span for valueOctet, eight octets at a time: most of a head is made
// of values. A word with an octet below 0x20 or with 0x7f in it is left to span.
func spanValue(b []byte) int {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	i := 0
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*ones
		if ((x-0x20*ones)&^x|(del-ones)&^del)&tops == 0 {
			i += 8
			continue
		}
		n := span(b[i:i+8], valueOctet)
		i += n
		if n < 8 {
			return i
		}
	}
	return i + span(b[i:], valueOctet)
}

func isToken(s string) bool { return s != "" && span(s, tokenOctet) == len(s) }
func isValue(s string) bool { return span(s, valueOctet) == len(s) }

// isNumber accepts at most 18 digits, which always fit an int64.
func isNumber(s string) bool {
	return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == ""
}

// equalFold folds ASCII only: strings.EqualFold would take a long s (U+017F)
// for the s of "websocket".
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	if a == b {
		return true
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// trimOWS removes optional whitespace (RFC 9110 §5.6.3) at both ends.
func trimOWS(s string) string {
	for s != "" && isOWS(s[0]) {
		s = s[1:]
	}
	for s != "" && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// elements yields the non-empty elements of a comma-separated list
// (RFC 9110 §5.6.1: a recipient ignores empty ones).
func elements(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest, more := list, true; more; {
			var element string
			element, rest, more = strings.Cut(rest, ",")
			if element = trimOWS(element); element != "" && !yield(element) {
				return
			}
		}
	}
}
