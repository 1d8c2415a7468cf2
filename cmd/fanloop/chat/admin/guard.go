package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard knows operators. It is immutable.
type guard struct {
	key   [sha256.Size]byte
	keyed bool // there is a key; without, who is on this machine is an operator
}

func newGuard(key string) guard {
	return guard{sha256.Sum256([]byte(key)), key != ""}
}

// admits reports whether a request is an operator's.
func (g *guard) admits(r *http.Request) bool {
	if !g.keyed {
		return local(r)
	}
	shown, ok := bearer(r)
	return ok && g.is(shown)
}

func (g *guard) is(shown string) bool {
	sum := sha256.Sum256([]byte(shown))
	return g.keyed && subtle.ConstantTimeCompare(sum[:], g.key[:]) == 1
}

// bearer is what a request shows in its header.
func bearer(r *http.Request) (string, bool) {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return "", false
	}
	scheme, key, found := strings.Cut(all[0], " ")
	return key, found && strings.EqualFold(scheme, "Bearer") && key != ""
}

// local reports whether a request comes from this machine, and not through a proxy, nor
// from a page that has this machine's address under another name.
func local(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() && loopback(r.Host)
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// foreign reports whether a request was made by a page of another origin.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default: // a link may lead to the page
		return r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate"
	}
	origin := r.Header.Get("Origin")
	return origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host
}
