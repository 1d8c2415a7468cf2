// Package wsurl reads ws and wss URLs, and says what of a request may go to the
// place that one names. It does no I/O. No text it makes holds a user or password.
package wsurl

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Target is the place that a URL names. Immutable.
type Target struct {
	URL       *url.URL // ws or wss, without the user
	User      *url.Userinfo
	Secure    bool   // wss
	Host      string // as DNS and TLS know it; an IPv6 address has no zone
	HostPort  string // to dial
	Authority string // of the request: host, and port unless it is the scheme's own

	shown string // the URL as errors show it
}

// Parse reads a ws or wss URL; http and https count as these. With an error, String of
// the Target is the URL as far as it can be shown, "" if it cannot be told from a
// password.
func Parse(rawURL string) (Target, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil && schemeless(rawURL):
		return Target{}, errNoScheme
	case err != nil:
		return Target{}, WithoutURL(rawURL, err)
	}
	fromWeb(u)
	return newTarget(u)
}

// errNoScheme is about a URL such as localhost:9001, whose scheme would be localhost.
var errNoScheme = errors.New("the URL has no scheme: write ws://HOST:PORT/ or wss://HOST:PORT/")

// schemeless reports whether rawURL, which url.Parse refuses, is a port or an address
// without a scheme.
func schemeless(rawURL string) bool {
	return !strings.Contains(rawURL, "://") && !strings.Contains(rawURL, "@")
}

// fromWeb gives u the scheme of a WebSocket for that of the web.
func fromWeb(u *url.URL) {
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
}

// Follow returns the place that the Location of a redirect of t names. http and
// https count as ws and wss. The fragment is dropped (RFC 9110 section 10.2.2).
func (t Target) Follow(location string) (Target, error) {
	u, err := t.URL.Parse(location)
	if err != nil {
		return t, fmt.Errorf("where it points to: %w", WithoutURL(location, err))
	}
	fromWeb(u)
	u.Fragment, u.RawFragment = "", ""
	next, err := newTarget(u)
	if err != nil {
		return t, fmt.Errorf("it points to %q: %w", next, err)
	}
	return next, nil
}

func newTarget(u *url.URL) (Target, error) {
	t := Target{URL: new(url.URL), User: u.User, Secure: u.Scheme == "wss", shown: withoutUser(u)}
	*t.URL = *u
	t.URL.User = nil
	switch {
	case u.Scheme == "", u.Opaque != "" && u.Opaque[0] >= '0' && u.Opaque[0] <= '9': // localhost:9001
		return t, errNoScheme
	case u.Scheme != "ws" && u.Scheme != "wss":
		return t, errors.New("the scheme must be ws or wss")
	case u.Hostname() == "":
		return t, errors.New("it names no host")
	case u.Fragment != "": // RFC 6455 §3
		return t, errors.New("a WebSocket URL has no fragment")
	}
	host, zone, _ := strings.Cut(u.Hostname(), "%")
	if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return t, errors.New("its host must be written in ASCII, as DNS has it (xn--...)")
	}
	if strings.ContainsFunc(zone, func(r rune) bool { return r <= ' ' || r >= utf8.RuneSelf }) {
		return t, errors.New("its zone cannot be the name of an interface") // and would break the line of a CONNECT
	}
	port, err := t.port()
	if err != nil {
		return t, err
	}
	t.setHost(host, zone, port)
	return t, nil
}

// setHost sets what depends on host, zone and port, in one spelling.
func (t *Target) setHost(host, zone, port string) {
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	t.Host, t.Authority = host, host
	if strings.Contains(host, ":") {
		t.Authority = "[" + host + "]"
	}
	if port != t.ownPort() {
		t.Authority += ":" + port
	}
	if zone != "" {
		host += "%" + zone // RFC 6874: for this machine only
	}
	t.HostPort = net.JoinHostPort(host, port)
}

// port returns the port of the URL, in one spelling.
func (t *Target) port() (string, error) {
	digits := t.URL.Port()
	if digits == "" {
		return t.ownPort(), nil
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", fmt.Errorf("its port %s is above 65535", digits)
	}
	return strconv.FormatUint(port, 10), nil
}

func (t *Target) ownPort() string {
	if t.Secure {
		return "443"
	}
	return "80"
}

// String returns the URL without user and password.
func (t Target) String() string { return t.shown }

// Web returns the URL with the scheme http or https, for what knows only these.
func (t Target) Web() *url.URL {
	u := *t.URL
	u.Scheme = "http"
	if t.Secure {
		u.Scheme = "https"
	}
	return &u
}

// SameOrigin reports whether a secret between the user and one of the two may go
// to the other.
func (t Target) SameOrigin(other Target) bool {
	return t.Secure == other.Secure && strings.EqualFold(t.HostPort, other.HostPort)
}
