package handshake

import "bytes"

// requestLine gives the offsets of the parts of a request line.
type requestLine struct {
	methodEnd uint32 // 0: there is none
	targetEnd uint32
	minor     byte // of HTTP/1.x
}

// size is the number of octets of the line, without its CR LF.
func (l requestLine) size() int { return int(l.targetEnd) + len(" HTTP/1.1") }

// Method gives the method at the front of head, which need not be whole or valid;
// "" if there is none, or not all of it yet.
func Method(head []byte) string {
	n := span(head, tokenOctet)
	if n == len(head) || head[n] != ' ' {
		return ""
	}
	return string(head[:n])
}

// parseRequestLine reads b, a request line without its CR LF (RFC 9112 §3).
func parseRequestLine(b []byte) (l requestLine, err error) {
	method := span(b, tokenOctet)
	if method == 0 || method == len(b) || b[method] != ' ' {
		return l, malformed("the request line has no method")
	}
	target := method + 1
	end := target + span(b[target:], targetOctet)
	if end == target || end == len(b) || b[end] != ' ' {
		return l, malformed("the request line has no valid target")
	}
	l.methodEnd, l.targetEnd = uint32(method), uint32(end)
	version := b[end+1:]
	if !isVersion(version) {
		return l, malformed("the request line has no valid HTTP version")
	}
	if !isHTTP1(version) {
		return l, &Rejection{Status: 505, Reason: "only HTTP/1.1 is spoken here"}
	}
	l.minor = version[7] - '0'
	return l, nil
}

// statusLine gives the parts of a status line.
type statusLine struct {
	status int
	reason int // offset
	minor  byte
}

// parseStatusLine reads b, a status line without its CR LF (RFC 9112 §4). The
// space before an empty reason may be missing, as many servers leave it out.
func parseStatusLine(b []byte) (l statusLine, err error) {
	if len(b) < 12 || !isVersion(b[:8]) || !isHTTP1(b[:8]) || b[8] != ' ' {
		return l, malformed("the status line has no valid HTTP version")
	}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return l, malformed("the status is not a number of three digits")
		}
		l.status = l.status*10 + int(c-'0')
	}
	if l.status < 100 || len(b) > 12 && b[12] != ' ' {
		return l, malformed("the status is not a number of three digits")
	}
	l.reason = min(13, len(b))
	l.minor = b[7] - '0'
	return l, nil
}

func isVersion(b []byte) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return len(b) == 8 && bytes.HasPrefix(b, []byte("HTTP/")) && digit(b[5]) && b[6] == '.' && digit(b[7])
}

func isHTTP1(version []byte) bool { return version[5] == '1' && version[7] <= '1' }
