package handshake

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gobwas/ws/wsflate"
)

// Response is a server's answer to an opening handshake. It never changes, owns
// its text and may be kept.
type Response struct {
	Status int    // 100 to 999
	Reason string // the reason phrase as sent, often empty

	fields
	minor byte // of HTTP/1.x
}

// ParseResponse reads head, one whole head of a response as Scanner delimits it.
// The error is a *ResponseError.
func ParseResponse(head []byte) (*Response, error) {
	var s Scanner
	return s.response(head)
}

// response is ParseResponse for a head that s has scanned.
func (s *Scanner) response(head []byte) (*Response, error) {
	err := s.whole(head)
	if err != nil {
		return nil, refuseHead(err)
	}
	lineEnd := bytes.IndexByte(head, '\r')
	line, err := parseStatusLine(head[:lineEnd])
	if err != nil {
		return nil, refuseHead(err)
	}
	r := &Response{Status: line.status, minor: line.minor}
	r.fill(string(head), lineEnd+len("\r\n"), int(s.headers))
	r.Reason = r.text[line.reason:lineEnd]
	return r, nil
}

// ResponseError says that the answer of a server breaks RFC 6455 §4.1 or is not
// HTTP. The client must drop the connection.
type ResponseError struct {
	Header string // the header at fault, "" for the head as a whole
	Reason string
	Cause  error // ErrMalformedHead, a *LimitError or nil
}

func (e *ResponseError) Error() string {
	s := "handshake: the server's response is refused: "
	if e.Header != "" {
		s += e.Header + ": "
	}
	s += e.Reason
	if over, ok := errors.AsType[*LimitError](e.Cause); ok {
		s += ": " + over.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *ResponseError) Unwrap() error { return e.Cause }

func refuseHead(err error) error {
	var r *Rejection
	if !errors.As(err, &r) {
		return err
	}
	return &ResponseError{Reason: r.Reason, Cause: r.Cause}
}

// StatusError says that a server answered with something else than 101: it wants
// credentials (401), a pause (429, 503) or another address (3xx, see Location),
// or refuses. Nothing is followed or repeated by itself.
type StatusError struct {
	Status int
	Reason string              // the reason phrase as sent
	Header map[string][]string // canonical names, as http.Header has them
	// Body is the beginning of the body, up to 1 KiB of it: what a person is to
	// read. It is text of the server; engine.Dial reads it, Check leaves it nil.
	Body []byte
}

// Error has the reason phrase, and the first line of the body if it is text.
func (e *StatusError) Error() string {
	s := "handshake: the server answered " + strconv.Itoa(e.Status) + " instead of 101"
	if e.Reason != "" {
		s += ": " + strconv.Quote(e.Reason)
	}
	if line := e.FirstLine(); line != "" && line != e.Reason {
		s += ": " + strconv.Quote(line)
	}
	return s
}

// maxLine is how many bytes of the first line of a body Error shows.
const maxLine = 200

// FirstLine returns the first line of Body, up to 200 bytes: "" if that is no text, or
// markup.
func (e *StatusError) FirstLine() string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(e.Body), []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) > maxLine {
		end := maxLine
		for end > 0 && !utf8.RuneStart(line[end]) {
			end--
		}
		line = append(line[:end:end], "..."...)
	}
	if bytes.HasPrefix(line, []byte("<")) || !utf8.Valid(line) || bytes.ContainsFunc(line, isUnprintable) {
		return ""
	}
	return string(line)
}

func isUnprintable(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }

// Location gives the address a redirect points to, "" when there is none.
func (e *StatusError) Location() string {
	if v := e.Header["Location"]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// RetryAfter gives how long after now the server wants to be left alone, and
// whether it said so (RFC 9110 §10.2.3). It is never negative and at most a day.
func (e *StatusError) RetryAfter(now time.Time) (wait time.Duration, ok bool) {
	v := e.Header["Retry-After"]
	if len(v) == 0 {
		return 0, false
	}
	const day = 24 * time.Hour
	if isNumber(v[0]) {
		seconds, _ := strconv.ParseInt(v[0], 10, 64)
		return time.Duration(min(seconds, int64(day/time.Second))) * time.Second, true
	}
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", v[0])
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), day), true
}

// Agreed is what an opening handshake settled, as the client sees it.
type Agreed struct {
	Subprotocol string      // "" for none
	Extensions  []Extension // in the order the server gave
	// Deflate holds the parameters of permessage-deflate, nil when the server
	// declined it. A window of 0 bits means 15.
	Deflate *DeflateParams
}

// Check checks the answer to want (RFC 6455 §4.1). The error is a *StatusError for
// an answer that is no 101, and a *ResponseError for a 101 that breaks the rules:
// not this connection's accept key, a subprotocol or extension that was not
// offered, a body.
func (r *Response) Check(want *ClientRequest) (Agreed, error) {
	var agreed Agreed
	if r.Status != 101 {
		return agreed, &StatusError{Status: r.Status, Reason: r.Reason, Header: r.HeaderMap()}
	}
	upgrade, upgrades := r.only(upgradeHeader)
	accept, accepts := r.only(acceptHeader)
	switch {
	case r.minor != 1:
		return agreed, &ResponseError{Reason: "a WebSocket needs HTTP/1.1"}
	case upgrades != 1 || !equalFold(upgrade, "websocket"): // item 2
		return agreed, &ResponseError{Header: "Upgrade", Reason: "it must be websocket, once"}
	case !r.hasElement(connectionHeader, "upgrade"): // item 3
		return agreed, &ResponseError{Header: "Connection", Reason: "it does not say Upgrade"}
	case accepts != 1 || accept != AcceptKey(want.Key): // item 4
		return agreed, &ResponseError{Header: "Sec-WebSocket-Accept", Reason: "it does not answer the key that was sent"}
	case r.claimsBody():
		return agreed, &ResponseError{Header: "Content-Length", Reason: "a 101 has no body"}
	}
	if err := r.checkSubprotocol(want, &agreed); err != nil {
		return Agreed{}, err
	}
	if err := r.checkExtensions(want, &agreed); err != nil {
		return Agreed{}, err
	}
	return agreed, nil
}

// claimsBody reports whether a 101 announces octets that are not to come: it ends
// with its head whatever its headers say (RFC 9112 §6.3), but who believes them
// takes frames for a body. A Transfer-Encoding is of no meaning.
func (r *Response) claimsBody() bool {
	for length := range r.eachOf(lengthHeader) {
		if length == "" || strings.Trim(length, "0") != "" {
			return true
		}
	}
	return false
}

func (r *Response) checkSubprotocol(want *ClientRequest, agreed *Agreed) error {
	subprotocol, n := r.only(subprotocolHeader)
	if n > 1 || n == 1 && !slices.Contains(want.Subprotocols, subprotocol) {
		return &ResponseError{Header: subprotocolHeader.String(), Reason: "it is not one that was offered"} // item 6
	}
	agreed.Subprotocol = subprotocol
	return nil
}

func (r *Response) checkExtensions(want *ClientRequest, agreed *Agreed) error {
	offers, _ := parseExtensions(want.Extensions)
	for list := range r.eachOf(extensionsHeader) {
		extensions, ok := parseExtensions(list)
		if !ok {
			return &ResponseError{Header: extensionsHeader.String(), Reason: "it is malformed"}
		}
		for _, e := range extensions {
			named := func(o Extension) bool { return o.Name == e.Name }
			if !slices.ContainsFunc(offers, named) {
				return &ResponseError{Header: extensionsHeader.String(), Reason: "it has an extension that was not offered"} // item 5
			}
			if slices.ContainsFunc(agreed.Extensions, named) {
				return &ResponseError{Header: extensionsHeader.String(), Reason: "it has an extension twice"}
			}
			agreed.Extensions = append(agreed.Extensions, e)
			if e.Name != wsflate.ExtensionName {
				continue
			}
			if agreed.Deflate = agreeDeflate(offers, e); agreed.Deflate == nil {
				return &ResponseError{Header: extensionsHeader.String(), Reason: "its parameters do not answer an offer of permessage-deflate"}
			}
		}
	}
	return nil
}

// agreeDeflate gives the parameters in e, nil when they answer none of the offers.
func agreeDeflate(offers []Extension, e Extension) *DeflateParams {
	answer, ok := parseDeflate(e)
	if !ok {
		return nil
	}
	for _, o := range offers {
		if offer, ok := parseDeflate(o); ok && answersDeflate(offer, answer) {
			return &answer
		}
	}
	return nil
}
