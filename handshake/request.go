package handshake

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
)

// Request is the request of an opening handshake, or of plain HTTP on the same
// port. It never changes after it was made, owns its text and may be kept; every
// string it gives is a part of that one text and keeps it alive.
type Request struct {
	// Peer tells the peer's address as text. ParseRequest leaves it nil: whoever
	// owns the connection sets it before handing the request on, nobody
	// afterwards. It is asked only by RemoteAddr, so it may be costly.
	Peer fmt.Stringer

	fields
	path  string // its escapes decoded
	query part
	host  part
	line  requestLine

	upgrades bool // see IsUpgrade
}

// RemoteAddr gives the peer's address, usually host:port; "" when it is not
// known, which may be so after the connection has ended. Any goroutine.
func (r *Request) RemoteAddr() string {
	if r.Peer == nil {
		return ""
	}
	return r.Peer.String()
}

// ParseRequest reads head, one whole head as Scanner delimits it. It copies head
// once and allocates nothing beside that copy and the Request, unless the path holds
// percent escapes.
//
// It is as strict as Scanner, and checks on top what every request must keep,
// upgrade or not: one valid Host (RFC 9112 §3.2), a target that is a path, an
// absolute http URI naming that same host, or "*" for OPTIONS, and a body that is
// described in at most one way (§6.3). The error is a *Rejection.
func ParseRequest(head []byte) (*Request, error) {
	var s Scanner
	return s.Request(head)
}

// Request is ParseRequest for b[:n] of the Scan that found the end of the head: it does
// not scan those octets again.
func (s *Scanner) Request(head []byte) (*Request, error) {
	r := new(Request)
	if err := s.ReadRequest(head, r); err != nil {
		return nil, err
	}
	return r, nil
}

// ReadRequest is Request for an r of the caller's, whose zero value it fills. After an error r
// is of no use.
func (s *Scanner) ReadRequest(head []byte, r *Request) error {
	if err := s.whole(head); err != nil {
		return err
	}
	if s.line.methodEnd == 0 { // it is the head of a response
		_, err := parseRequestLine(head[:bytes.IndexByte(head, '\r')])
		return err
	}
	r.line = s.line
	r.fill(string(head), r.line.size()+len("\r\n"), int(s.headers))
	if err := r.resolveTarget(); err != nil {
		return err
	}
	r.upgrades = r.hasElement(upgradeHeader, "websocket")
	return r.checkBody()
}

// resolveTarget finds host, path and query (RFC 9112 §3.2).
func (r *Request) resolveTarget() error {
	inHeader, n := r.place(hostHeader)
	host := r.cut(inHeader)
	switch {
	case n > 1:
		return malformed("there is more than one Host")
	case n == 0 && r.line.minor > 0:
		return malformed("there is no Host")
	}
	named, ok := parseAuthority(host)
	if !ok && host != "" {
		return malformed("the Host is not valid")
	}
	r.host = inHeader
	rest := r.RequestURI()
	if rest == "*" && r.Method() == "OPTIONS" {
		r.path = rest
		return nil
	}
	if rest[0] != '/' {
		scheme, host, path := cutURI(rest)
		target, ok := parseAuthority(host)
		def := defaultPort(scheme)
		// A peer that names two hosts hopes that two servers pick different ones.
		if !ok || def == noPort || n == 1 && (named.host == "" || !target.names(named, def)) {
			return malformed("the target is neither a path nor a URI of this host")
		}
		from := r.line.methodEnd + uint32(1+len(scheme)+len("://"))
		r.host, rest = part{from, from + uint32(len(host))}, path
	}
	path, query, _ := strings.Cut(rest, "?")
	r.query = part{r.line.targetEnd - uint32(len(query)), r.line.targetEnd}
	path, err := url.PathUnescape(path)
	if err != nil {
		return malformed("the path has a percent sign that is no escape")
	}
	if path == "" {
		path = "/" // RFC 9110 §4.2.3
	}
	r.path = path
	return nil
}

// cutURI splits an absolute URI around its authority.
func cutURI(uri string) (scheme, authority, rest string) {
	scheme, rest, _ = strings.Cut(uri, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return scheme, rest[:i], rest[i:]
	}
	return scheme, rest, ""
}

// checkBody refuses heads whose body two servers could measure in two ways
// (RFC 9112 §6.3).
func (r *Request) checkBody() error {
	length, lengths := r.only(lengthHeader)
	coding, codings := r.only(codingHeader)
	switch {
	case lengths > 1:
		return malformed("there is more than one Content-Length")
	case lengths == 1 && !isNumber(length):
		return malformed("the Content-Length is not a number")
	case lengths == 1 && codings > 0:
		return malformed("there are Content-Length and Transfer-Encoding")
	case codings > 1 || codings == 1 && !equalFold(coding, "chunked"):
		return malformed("the only Transfer-Encoding taken is chunked")
	case codings == 1 && r.line.minor == 0:
		return malformed("HTTP/1.0 has no Transfer-Encoding")
	}
	if codings == 0 {
		return nil
	}
	for _, name := range [...]string{"Content-Length", "Transfer-Encoding", "Trailer"} {
		if r.hasElement(trailerHeader, name) {
			return malformed("the Trailer announces a header that cannot be one") // RFC 9110 §6.5.1
		}
	}
	return nil
}

// Method gives the method as sent; methods are case-sensitive.
func (r *Request) Method() string { return r.text[:r.line.methodEnd] }

// RequestURI gives the request target as sent.
func (r *Request) RequestURI() string {
	if r.text == "" {
		return ""
	}
	return r.text[r.line.methodEnd+1 : r.line.targetEnd]
}

// Path gives the path of the target without its query and with percent escapes
// decoded, so it can hold any octet. It is never empty. Dot segments and doubled
// slashes are left as they are.
func (r *Request) Path() string { return r.path }

// Query gives what follows the "?" of the target, not decoded; url.ParseQuery
// reads it.
func (r *Request) Query() string { return r.cut(r.query) }

// Host gives the host and port the request names, as sent.
func (r *Request) Host() string { return r.cut(r.host) }

// Origin gives the Origin header, "" when there is none. It is what a browser
// says about the page that opens the connection; other clients can say anything.
func (r *Request) Origin() string {
	value, _ := r.only(originHeader)
	return value
}

// Cookie gives the value of the first cookie with this name, without the quotes
// around it, and whether there is one. Names are case-sensitive. It allocates
// nothing.
func (r *Request) Cookie(name string) (value string, ok bool) {
	for list := range r.each("Cookie") {
		for rest, more := list, true; more; {
			var pair string
			pair, rest, more = strings.Cut(rest, ";")
			n, v, found := strings.Cut(trimOWS(pair), "=")
			if !found || n != name {
				continue
			}
			if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			return v, true
		}
	}
	return "", false
}
