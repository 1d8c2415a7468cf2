package handshake

import (
	"bytes"
	"math"
)

// Limits bounds the head of a request or a response. The zero value means the
// defaults.
type Limits struct {
	// MaxHead is the largest head in bytes, start line and empty line included.
	// Default: 8 KiB. At most 1 GiB.
	MaxHead int
	// MaxHeaders is the largest number of header lines. Default: 100.
	MaxHeaders int
}

func (l Limits) withDefaults() Limits {
	if l.MaxHead <= 0 {
		l.MaxHead = 8 << 10
	}
	if l.MaxHeaders <= 0 {
		l.MaxHeaders = 100
	}
	l.MaxHead = min(l.MaxHead, 1<<30)
	l.MaxHeaders = min(l.MaxHeaders, math.MaxInt32)
	return l
}

// place says which octets may come next in a head.
type place uint8

const (
	inStartLine place = iota
	inLineEnd         // after the CR of a line
	inLineStart       // a header line or the empty line
	inName
	inValue
	inHeadEnd // after the CR of the empty line
	pastHead
)

// Scanner finds the end of a head, strictly and in pieces. It serves requests
// and responses. The zero value is ready; use a new one for every head. It holds
// 24 bytes and no pointer, and belongs to one goroutine at a time.
type Scanner struct {
	pos     uint32 // octets accepted
	headers uint32
	line    requestLine // once it is behind s, unless the head is that of a response
	at      place
}

// Scan looks for the end of the head in b, which is everything received so far
// of this head: every call passes the octets of the call before, with more
// behind them. It goes on where it stopped, so a head that arrives byte by byte
// costs linear time. It allocates nothing unless it fails and keeps nothing of b.
//
// n is the length of the head with its empty line; what follows b[:n] is not
// looked at. n == 0 means that more is needed.
//
// It fails at the first octet after which no valid head can follow, except that
// the parts of the start line are judged when its CR is there. However the octets
// were cut, the outcome is the same. The error is a *Rejection with the status a
// server answers: 400 for bad syntax, 414 for a start line and 431 for a head
// over the limits, 505 for an HTTP version that is not 1.0 or 1.1. It wraps
// ErrMalformedHead, or a *LimitError, which is an ErrHeadTooLarge.
// After an error a further call reports the same error.
func (s *Scanner) Scan(b []byte, lim Limits) (n int, err error) {
	lim = lim.withDefaults()
	end := min(len(b), lim.MaxHead)
	for s.at != pastHead && int(s.pos) < end {
		if err := s.step(b[:end], lim); err != nil {
			return 0, err
		}
	}
	switch {
	case s.at == pastHead:
		return int(s.pos), nil
	case len(b) < lim.MaxHead:
		return 0, nil
	case s.at == inStartLine:
		return 0, tooLarge(414, "the start line is too long", "MaxHead", lim.MaxHead)
	}
	return 0, tooLarge(431, "the head is too long", "MaxHead", lim.MaxHead)
}

// step goes on to the end of the line or of b, whichever comes first. When it
// fails, s.pos stays at the octet at fault, so that a further step fails alike.
func (s *Scanner) step(b []byte, lim Limits) error {
	switch s.at {
	case inStartLine:
		return s.startLine(b)

	case inLineStart:
		if err := s.lineStart(b[s.pos], lim); err != nil || s.at != inName {
			return err
		}
		fallthrough
	case inName:
		s.pos += uint32(span(b[s.pos:], tokenOctet))
		if int(s.pos) == len(b) {
			return nil
		}
		if b[s.pos] != ':' {
			return malformed("a header name holds an octet that is not allowed") // RFC 9112 §5.1
		}
		s.pos++
		s.at = inValue
		fallthrough
	case inValue:
		s.pos += uint32(spanValue(b[s.pos:]))
		if int(s.pos) == len(b) {
			return nil
		}
		if err := lineEnds(b[s.pos]); err != nil {
			return err
		}
		s.pos++
		s.at = inLineEnd
		if int(s.pos) == len(b) {
			return nil
		}
		fallthrough
	case inLineEnd, inHeadEnd:
		if b[s.pos] != '\n' {
			return malformed("a CR is not followed by LF") // RFC 9112 §2.2
		}
		s.pos++
		s.at++ // inLineStart or pastHead
	}
	return nil
}

func (s *Scanner) startLine(b []byte) error {
	status := bytes.HasPrefix(b, []byte("HTTP/"))
	class := lineOctet
	if status {
		class = valueOctet // RFC 9112 §4: the reason phrase may hold HTAB and obs-text
	}
	if octets[b[0]]&tokenOctet == 0 {
		return malformed("this is not HTTP")
	}
	n := s.pos + uint32(span(b[s.pos:], class))
	if n == uint32(len(b)) {
		s.pos = n
		return nil
	}
	if err := lineEnds(b[n]); err != nil {
		return err
	}
	var err error
	if status {
		_, err = parseStatusLine(b[:n])
	} else {
		s.line, err = parseRequestLine(b[:n])
	}
	if err != nil {
		return err
	}
	s.pos = n + 1
	s.at = inLineEnd
	return nil
}

func (s *Scanner) lineStart(c byte, lim Limits) error {
	switch {
	case c == '\r':
		s.pos++
		s.at = inHeadEnd
		return nil
	case c == ' ' || c == '\t':
		return malformed("a header line is folded") // RFC 9112 §5.2
	case c == ':':
		return malformed("a header name is empty")
	case octets[c]&tokenOctet == 0:
		return malformed("a header name holds an octet that is not allowed")
	case int(s.headers) == lim.MaxHeaders:
		return tooLarge(431, "there are too many header lines", "MaxHeaders", lim.MaxHeaders)
	}
	s.headers++
	s.pos++
	s.at = inName
	return nil
}

// lineEnds checks the octet that stopped a line.
func lineEnds(c byte) error {
	switch c {
	case '\r':
		return nil
	case '\n':
		return malformed("a line ends with a bare LF") // RFC 9112 §2.2
	case 0:
		return malformed("the head holds a NUL")
	}
	return malformed("the head holds an octet that is not allowed")
}

// whole checks that b is one head and nothing else, if s has not found that already.
func (s *Scanner) whole(b []byte) error {
	if len(b) >= 1<<30 {
		return tooLarge(431, "the head is too long", "MaxHead", 1<<30)
	}
	n, err := s.Scan(b, Limits{MaxHead: len(b) + 1, MaxHeaders: len(b) + 1})
	switch {
	case err != nil:
		return err
	case n == 0:
		return malformed("the head is not complete")
	case n < len(b):
		return malformed("there are octets after the head")
	}
	return nil
}
