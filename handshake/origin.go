package handshake

import (
	"fmt"
	"strings"
)

// OriginPolicy decides by the Origin header whether a request may become a
// WebSocket (RFC 6455 §10.2). A server answers false with 403. Browsers let any
// page open a WebSocket to any host and send their cookies along, so without a
// policy a foreign page speaks in the user's name. It is called on the goroutine
// that runs the handshake and must not block.
type OriginPolicy func(req *Request) bool

// SameHost is the policy to start from: the origin's host and port must be those
// the request was sent to, however they are spelt. A missing port is the default
// one of the origin's scheme. Requests without an Origin are allowed, as only
// browsers have one to send; "null" and schemes other than http and https are
// refused. The schemes are not compared: behind a proxy that ends TLS the server
// cannot know its own.
func SameHost(req *Request) bool {
	value, n := req.only(originHeader)
	if n == 0 {
		return true
	}
	origin, ok := parseOrigin(value)
	def := defaultPort(origin.scheme)
	if !ok || n > 1 || def == noPort {
		return false
	}
	host, ok := parseAuthority(req.Host())
	return ok && origin.names(host, def)
}

// AllowAnyOrigin allows every request. It suits services that authenticate by
// something a foreign page does not have, for instance a token in the query.
func AllowAnyOrigin(*Request) bool { return true }

// AllowOrigins allows the origins listed and requests without an Origin. The
// server's own origin is not implied. An entry is an origin as browsers write it,
// https://example.com or http://localhost:8080, with "*." in front of the host to
// mean all its subdomains but not the host itself, or the word null. It panics on
// an entry that is none of these; ParseOrigins returns the error instead.
func AllowOrigins(origins ...string) OriginPolicy {
	policy, err := ParseOrigins(origins...)
	if err != nil {
		panic(err)
	}
	return policy
}

// ParseOrigins is AllowOrigins for entries that come from a configuration.
func ParseOrigins(origins ...string) (OriginPolicy, error) {
	null := false
	var allowed []originPattern
	for _, entry := range origins {
		if entry == "null" {
			null = true
			continue
		}
		scheme, host, _ := strings.Cut(entry, "://")
		host, subdomains := strings.CutPrefix(host, "*.")
		o, ok := parseOrigin(scheme + "://" + host)
		if !ok {
			return nil, fmt.Errorf("handshake: %q is not an origin: write it like https://example.com, https://*.example.com or null", entry)
		}
		allowed = append(allowed, originPattern{o, subdomains})
	}
	return func(req *Request) bool {
		value, n := req.only(originHeader)
		switch {
		case n == 0:
			return true
		case n > 1:
			return false
		case value == "null":
			return null
		}
		o, ok := parseOrigin(value)
		if !ok {
			return false
		}
		for _, a := range allowed {
			if a.matches(o) {
				return true
			}
		}
		return false
	}, nil
}

// RequireOrigin refuses requests without an Origin and leaves the others to
// policy. It keeps out clients that are not browsers, as long as they are honest.
func RequireOrigin(policy OriginPolicy) OriginPolicy {
	return func(req *Request) bool {
		_, n := req.only(originHeader)
		return n > 0 && policy(req)
	}
}

// origin is a serialized origin (RFC 6454 §6.2).
type origin struct {
	scheme string
	authority
}

func parseOrigin(s string) (o origin, ok bool) {
	scheme, host, found := strings.Cut(s, "://")
	if !found || !isToken(scheme) {
		return o, false
	}
	o.scheme = scheme
	o.authority, ok = parseAuthority(host)
	return o, ok
}

type originPattern struct {
	origin
	subdomains bool
}

func (p originPattern) matches(o origin) bool {
	def := defaultPort(p.scheme)
	if !equalFold(p.scheme, o.scheme) {
		return false
	}
	if !p.subdomains {
		return p.names(o.authority, def)
	}
	cut := len(o.host) - len(p.host)
	return cut > 1 && o.host[cut-1] == '.' && equalFold(o.host[cut:], p.host) && p.portOr(def) == o.portOr(def)
}
