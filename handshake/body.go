package handshake

import "errors"

// ErrMalformedBody is what a *Rejection of Body.Scan wraps: the octets are no body
// in the chunked coding.
var ErrMalformedBody = errors.New("malformed body")

// Body finds the end of a request's body, strictly and in pieces: by its
// Content-Length, or by the chunked coding (RFC 9112 §7.1). Request.Body makes it.
// It belongs to one goroutine at a time.
type Body struct {
	left    uint64  // octets of the body, or of the chunk, that are to come
	line    uint32  // octets of the chunk's line so far
	trailer Scanner // of the trailer section
	at      bodyPlace
}

// bodyPlace says which octets may come next in a body.
type bodyPlace uint8

const (
	bodyEnd      bodyPlace = iota
	inCounted              // of a Content-Length
	inChunkSize            //
	inChunkExt             //
	inChunkLF              // after the CR of the chunk's line
	inChunk                //
	inChunkEndCR           // behind the chunk
	inChunkEndLF           //
	inTrailer              // behind the last chunk, up to the empty line
)

const (
	maxChunkLine   = 1 << 10 // its size, extensions and line end, in octets
	maxChunkDigits = 15      // the largest size fits an int64
)

// Body gives what finds the end of the request's body. What follows that is the
// next request.
func (r *Request) Body() Body {
	length, lengths := r.only(lengthHeader)
	_, codings := r.only(codingHeader)
	switch {
	case codings > 0:
		return Body{at: inChunkSize}
	case lengths > 0:
		return counted(length)
	}
	return Body{}
}

// counted is a body of that length, which isNumber has judged.
func counted(length string) (b Body) {
	for _, digit := range []byte(length) {
		b.left = b.left*10 + uint64(digit-'0')
	}
	if b.left > 0 {
		b.at = inCounted
	}
	return b
}

// Scan goes on at the front of b, which is what follows the octets accepted so far.
// n octets more are accepted: they belong to the body and may be handed on. done
// says that the body ends behind them. Call it again with what is behind them and
// more. It keeps nothing of b.
//
// However the octets were cut, the same ones are accepted. The error is a
// *Rejection: the octet behind those n cannot follow. Everything that two parsers
// in a row could read in two ways is refused, such as a bare LF, or a space behind
// a chunk's size; a chunk's line may take 1 KiB, and a trailer section what lim
// allows a head. Trailers that would describe the message are refused too.
func (s *Body) Scan(b []byte, lim Limits) (n int, done bool, err error) {
	for s.at != bodyEnd && n < len(b) {
		k, err := s.step(b[n:], lim)
		n += k
		if k == 0 || err != nil { // k == 0: a trailer section that is not whole
			return n, false, err
		}
	}
	return n, s.at == bodyEnd, nil
}

// step accepts octets of one place at the front of b. When it fails, a further step
// fails alike.
func (s *Body) step(b []byte, lim Limits) (n int, err error) {
	switch s.at {
	case inCounted, inChunk:
		return s.data(b), nil
	case inChunkSize, inChunkExt:
		return s.chunkLine(b[0])
	case inTrailer:
		return s.trailers(b, lim)
	}
	want := byte('\n')
	if s.at == inChunkEndCR {
		want = '\r'
	}
	if b[0] != want {
		return 0, malformedBody("a chunk or its line does not end with CR LF")
	}
	switch s.at {
	case inChunkLF:
		s.at = inChunk
		if s.left == 0 {
			s.at = inTrailer
			s.trailer = Scanner{at: inLineStart}
		}
	case inChunkEndCR:
		s.at = inChunkEndLF
	case inChunkEndLF:
		s.at, s.line = inChunkSize, 0
	}
	return 1, nil
}

// data accepts octets of the body itself.
func (s *Body) data(b []byte) int {
	n := int(min(s.left, uint64(len(b))))
	if s.left -= uint64(n); s.left > 0 {
		return n
	}
	if s.at == inCounted {
		s.at = bodyEnd
	} else {
		s.at = inChunkEndCR
	}
	return n
}

// chunkLine accepts one octet of 1*HEXDIG *( ";" extension ) CR.
func (s *Body) chunkLine(c byte) (n int, err error) {
	digit, isDigit := hexDigit(c)
	switch {
	case s.line == maxChunkLine-1: // and an LF
		return 0, malformedBody("a chunk's line is too long")
	case s.at == inChunkSize && isDigit && s.line < maxChunkDigits:
		s.left = s.left<<4 | uint64(digit)
	case s.at == inChunkSize && isDigit:
		return 0, malformedBody("a chunk is too large")
	case s.line == 0:
		return 0, malformedBody("a chunk has no size")
	case c == '\r':
		s.at = inChunkLF
	case c == ';':
		s.at = inChunkExt
	case s.at != inChunkExt || octets[c]&valueOctet == 0:
		return 0, malformedBody("a chunk's line holds an octet that is not allowed")
	}
	s.line++
	return 1, nil
}

func hexDigit(c byte) (digit byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= lower(c) && lower(c) <= 'f':
		return lower(c) - 'a' + 10, true
	}
	return 0, false
}

// trailers accepts the whole trailer section (RFC 9112 §7.1.2), or nothing yet.
func (s *Body) trailers(b []byte, lim Limits) (n int, err error) {
	n, err = s.trailer.Scan(b, lim)
	if n == 0 || err != nil {
		return 0, err
	}
	if n > len("\r\n") {
		var f fields
		f.fill(string(b[:n]), 0, int(s.trailer.headers))
		for name := range f.Headers() {
			if describesMessage(name) {
				return 0, malformedBody("a trailer describes the message") // RFC 9110 §6.5.1
			}
		}
	}
	s.at = bodyEnd
	return n, nil
}

// describesMessage names the headers by which a message is framed or routed.
func describesMessage(name string) bool {
	for _, n := range [...]string{"Content-Length", "Transfer-Encoding", "Trailer", "Host", "Connection", "Upgrade"} {
		if equalFold(name, n) {
			return true
		}
	}
	return false
}

func malformedBody(reason string) error {
	return &Rejection{Status: 400, Reason: reason, Cause: ErrMalformedBody}
}
