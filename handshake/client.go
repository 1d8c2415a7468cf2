package handshake

import "slices"

// ClientRequest is the request with which a client opens a WebSocket. It is only
// read, so it may be used again with another Key.
type ClientRequest struct {
	Host       string // host, or host and port unless it is the scheme's own
	RequestURI string // path and query; "" means "/"
	Key        string // from NewKey, a new one for every connection
	Origin     string // "" sends none; for a browser it would be the page's

	Subprotocols []string // offered, the preferred one first
	Extensions   string   // offered, for instance by FormatDeflate; "" for none

	// Header holds what the application adds, for instance Cookie or
	// Authorization. No User-Agent is sent unless it is here.
	Header map[string][]string
}

// AppendClientRequest appends the request (RFC 6455 §4.1). It refuses with a
// *HeaderError, and gives dst back as it was, when a field of r is not valid or
// would end its line, and when Header holds what the handshake writes itself.
func AppendClientRequest(dst []byte, r *ClientRequest) ([]byte, error) {
	if err := r.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	uri := r.RequestURI
	if uri == "" {
		uri = "/"
	}
	dst = append(dst, "GET "+uri+" HTTP/1.1\r\nHost: "+r.Host+
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+r.Key+"\r\n"...)
	if r.Origin != "" {
		dst = append(dst, "Origin: "+r.Origin+"\r\n"...)
	}
	for i, s := range r.Subprotocols {
		if i == 0 {
			dst = append(dst, subprotocolHeader.String()+": "...)
		} else {
			dst = append(dst, ", "...)
		}
		dst = append(dst, s...)
	}
	if len(r.Subprotocols) > 0 {
		dst = append(dst, "\r\n"...)
	}
	if r.Extensions != "" {
		dst = append(dst, extensionsHeader.String()+": "+r.Extensions+"\r\n"...)
	}
	dst, err := appendFields(dst, r.Header)
	if err != nil {
		return dst[:start], err
	}
	return append(dst, "\r\n"...), nil
}

func (r *ClientRequest) check() error {
	uri := r.RequestURI
	_, isHost := parseAuthority(r.Host)
	switch {
	case !isHost:
		return &HeaderError{"Host", "the host is not a name or address with an optional port"}
	case uri != "" && (uri[0] != '/' || span(uri, targetOctet) != len(uri)):
		return &HeaderError{"RequestURI", "it must be a path with an optional query, percent-encoded and without a fragment"}
	case !isKey(r.Key):
		return &HeaderError{"Sec-WebSocket-Key", "the key must come from NewKey"}
	case !isValue(r.Origin):
		return &HeaderError{"Origin", "the value holds CR, LF, NUL or another control octet; remove it"}
	}
	for i, s := range r.Subprotocols {
		if !isToken(s) || slices.Contains(r.Subprotocols[:i], s) {
			return &HeaderError{subprotocolHeader.String(), "subprotocols must be tokens, each offered once"} // §4.1 item 10
		}
	}
	if _, ok := parseExtensions(r.Extensions); !ok {
		return &HeaderError{extensionsHeader.String(), "this is not a list of extensions (RFC 6455 §9.1)"}
	}
	for name := range r.Header {
		if r.Origin != "" && equalFold(name, "Origin") {
			return &HeaderError{name, "Origin is set already; remove one of the two"}
		}
	}
	return nil
}
