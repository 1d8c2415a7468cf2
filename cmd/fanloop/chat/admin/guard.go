package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
)

// guard knows operators. It is immutable. Without a key and certificates, who is on this
// machine is an operator.
type guard struct {
	key          [sha256.Size]byte
	keyed        bool // there is a key
	certificates []string
}

func newGuard(key string, certificates []string) guard {
	return guard{sha256.Sum256([]byte(key)), key != "", certificates}
}

// admits reports whether a request is an operator's.
func (g *guard) admits(r *http.Request) bool {
	if !g.keyed && len(g.certificates) == 0 {
		return local(r)
	}
	for _, name := range certified(r) {
		if slices.Contains(g.certificates, name) {
			return true
		}
	}
	shown, ok := bearer(r)
	return ok && g.is(shown)
}

// certified are the names of the certificate that a request shows: none without one that
// an authority has signed and that is valid now.
func certified(r *http.Request) []string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	shown := r.TLS.VerifiedChains[0][0]
	if now := time.Now(); now.Before(shown.NotBefore) || now.After(shown.NotAfter) {
		return nil // it ended while the connection was open
	}
	names := slices.Clone(shown.DNSNames)
	for _, uri := range shown.URIs {
		names = append(names, uri.String())
	}
	if shown.Subject.CommonName != "" {
		names = append(names, shown.Subject.CommonName)
	}
	return names
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
	if proxies.Shown(r.Header.Values) != "" || !r.ProtoAtLeast(1, 1) { // as some proxies speak, and no browser
		return false
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
