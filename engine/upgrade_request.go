package engine

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
)

// Request is the request for a WebSocket, as ShouldUpgrade and OnUpgrade get it. ShouldUpgrade may
// set its fields, except the first, for this connection alone. You may keep it.
//
// What the parser found is returned by methods of [handshake.Request]. Header and Cookie are
// not like those of net/http:
//
//	Path() string                            // decoded, without the query
//	Query() string                           // not decoded; see QueryValue
//	Header(name string) string               // the first value; "" if there is none
//	Cookie(name string) (value string, ok bool)
//	Host() string
//	Origin() string
//	Method() string
//	RequestURI() string
//	RemoteAddr() string
//	Subprotocols() []string                  // that the client offers
type Request struct {
	*handshake.Request // never changes

	// Value is attached to the WebSocket, as [Set] does: the user, or the claims of a token.
	Value any
	// Subprotocol is agreed instead of the one that Subprotocols of the endpoint select. The
	// client must offer it; otherwise the request is refused with 500, and the log says so.
	// Empty means what the endpoint selects.
	Subprotocol string
	// NoCompression declines the client's offers of compression.
	NoCompression bool
	// Limits overrides those limits of the endpoint whose fields are not 0, from the first
	// frame on, as [WebSocket.SetLimits] does later. nil overrides none.
	Limits *Limits
	// Callbacks replaces all callbacks of the endpoint. It is not copied: connections may share
	// it, and you may not change it. nil means the endpoint's.
	Callbacks *Callbacks
	// Slow replaces the policy for slow subscribers, as [WebSocket.SetSlow] does later. nil
	// means that of the topic or the endpoint.
	Slow *Slow

	server  *Server
	web     *httpRequest  // nil: it did not come through net/http
	matched *http.Request // that led to the endpoint, by a pattern of Handle; nil: none did
	life    lifetime
}

// httpRequest is a request as net/http received it.
type httpRequest struct {
	*http.Request
	arrived time.Time
}

// HTTP returns the request as net/http received it. It is nil unless it came through
// [Server.ServeHTTP] or [Server.Upgrade].
func (r *Request) HTTP() *http.Request {
	if r.web == nil {
		return nil
	}
	return r.web.Request
}

// PathValue returns what the named wildcard of the pattern matched, as [http.Request.PathValue]
// does; "" if there is none.
func (r *Request) PathValue(name string) string {
	for _, by := range []*http.Request{r.matched, r.HTTP()} {
		if by != nil {
			return by.PathValue(name)
		}
	}
	return ""
}

// QueryValue returns the first value of a parameter of the query, decoded; "" if there is
// none. Query has all of it.
func (r *Request) QueryValue(name string) string {
	values, _ := url.ParseQuery(r.Query()) // what is malformed is left out, as net/http does
	return values.Get(name)
}

// TLS returns what [WebSocket.TLS] will return. It is nil if the request came
// without TLS or its connection has ended. Do not change it. Any goroutine.
func (r *Request) TLS() *tls.ConnectionState {
	if p, ok := r.Peer.(interface{ TLS() *tls.ConnectionState }); ok {
		return p.TLS()
	}
	return nil
}

// peer is a WebSocket as its request sees it.
type peer WebSocket

// String gives the address at the moment it is asked for.
func (p *peer) String() string {
	addr := (*WebSocket)(p).RemoteAddr()
	if addr == nil {
		return ""
	}
	return addr.String()
}

// TLS is for Request.TLS.
func (p *peer) TLS() *tls.ConnectionState { return p.conn.TLS() }
