package handshake

import (
	"net/netip"
	"strings"
)

// authority is host [ ":" port ] of a URI, an Origin or a Host (RFC 3986 §3.2).
// Two are compared by what they name and not by how they are spelt: without case,
// a missing or empty port as the default one, a port as a number, an IPv6 address
// by its value (RFC 9110 §4.2.3).
type authority struct {
	host string // as written; an IPv6 address in brackets
	port int    // noPort: none, or an empty one
}

const noPort = -1

// parseAuthority reads s, whose host is a name, an IPv4 address or an IPv6
// address in brackets. Of what a name could hold by the RFC, only unreserved
// octets are let through.
func parseAuthority(s string) (a authority, ok bool) {
	var n int
	if strings.HasPrefix(s, "[") {
		n = strings.IndexByte(s, ']') + 1
		if _, ok := parseIPv6(s[:n]); !ok {
			return a, false
		}
	} else if n = span(s, hostOctet); n == 0 {
		return a, false
	}
	a.host, a.port, ok = s[:n], noPort, true
	if n < len(s) {
		a.port, ok = parsePort(s[n:])
	}
	return a, ok
}

// parseIPv6 reads an address in brackets. A zone is for one machine only.
func parseIPv6(s string) (netip.Addr, bool) {
	if len(s) < 2 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s[1 : len(s)-1])
	return addr, err == nil && addr.Is6() && addr.Zone() == ""
}

// parsePort reads ":" *DIGIT (RFC 3986 §3.2.3).
func parsePort(s string) (port int, ok bool) {
	if s[0] != ':' {
		return 0, false
	}
	if s = s[1:]; s == "" {
		return noPort, true
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if port = port*10 + int(s[i]-'0'); port > 65535 {
			return 0, false
		}
	}
	return port, true
}

// names reports whether a and b name the same, where def is the default port of
// their scheme.
func (a authority) names(b authority, def int) bool {
	return a.portOr(def) == b.portOr(def) && sameHost(a.host, b.host)
}

func (a authority) portOr(def int) int {
	if a.port == noPort {
		return def
	}
	return a.port
}

// sameHost compares hosts that parseAuthority has read.
func sameHost(a, b string) bool {
	if equalFold(a, b) {
		return true
	}
	if a[0] != '[' || b[0] != '[' {
		return false
	}
	addrA, _ := parseIPv6(a)
	addrB, _ := parseIPv6(b)
	return addrA == addrB
}

// defaultPort gives the default port of http and https, noPort for other schemes.
func defaultPort(scheme string) int {
	switch {
	case equalFold(scheme, "http"):
		return 80
	case equalFold(scheme, "https"):
		return 443
	}
	return noPort
}
