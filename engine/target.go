package engine

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// target is where a URL leads.
type target struct {
	url       *url.URL // ws or wss, without the user
	user      *url.Userinfo
	secure    bool   // wss
	host      string // as DNS and TLS know it; an IPv6 address has no zone
	hostport  string // to dial
	authority string // of the request: host, and port unless it is the scheme's own
	shown     string // the URL as errors show it
}

func parseTarget(rawURL string) (target, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return target{}, &URLError{Err: withoutURL(rawURL, err)}
	}
	t, err := newTarget(u)
	if err != nil {
		return t, &URLError{URL: t.String(), Err: err}
	}
	return t, nil
}

var errNoURL = errors.New("this is not a URL; what is special in its user and password must be percent-encoded")

// withoutURL is an error of url.Parse without the URL, which may hold a password.
func withoutURL(rawURL string, err error) error {
	var parse *url.Error
	if !errors.As(err, &parse) || strings.Contains(rawURL, "@") {
		return errNoURL
	}
	return err
}

// withoutUser is u as errors show it: without what is a user or password, or may
// be meant as one.
func withoutUser(u *url.URL) string {
	switch {
	case u.Opaque != "":
		return "..."
	case mayHideUser(u):
		return u.Scheme + "://..."
	case hasLaterAt(u):
		return u.Scheme + "://" + u.Host + "/..."
	}
	clean := *u
	clean.User = nil
	return clean.String()
}

// mayHideUser says whether the host of u may be meant as the beginning of a user
// and password, which would end at a later @: RFC 3986 section 3.2 ends the
// authority at the first slash, question mark or number sign. An IP address,
// localhost, and a name with a dot and no port are hosts.
func mayHideUser(u *url.URL) bool {
	if !hasLaterAt(u) {
		return false
	}
	name := u.Hostname()
	switch _, err := netip.ParseAddr(name); {
	case u.User != nil:
		return true
	case err == nil, strings.EqualFold(name, "localhost"):
		return false
	}
	return strings.Contains(u.Host, ":") || !strings.Contains(name, ".")
}

// hasLaterAt says whether u has an @ that ends no user.
func hasLaterAt(u *url.URL) bool {
	return strings.Contains(u.Host+u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@")
}

func newTarget(u *url.URL) (target, error) {
	t := target{url: new(url.URL), user: u.User, secure: u.Scheme == "wss", shown: withoutUser(u)}
	*t.url = *u
	t.url.User = nil
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss":
		return t, errors.New("the scheme must be ws or wss")
	case u.Hostname() == "":
		return t, errors.New("it names no host")
	case u.Fragment != "": // §3
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
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String() // an address in one spelling
	}
	t.host, t.authority = host, host
	if strings.Contains(host, ":") {
		t.authority = "[" + host + "]"
	}
	if port != t.ownPort() {
		t.authority += ":" + port
	}
	if zone != "" {
		host += "%" + zone // RFC 6874: for this machine only
	}
	t.hostport = net.JoinHostPort(host, port)
	return t, nil
}

// port is the port of the URL, in one spelling.
func (t target) port() (string, error) {
	digits := t.url.Port()
	if digits == "" {
		return t.ownPort(), nil
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", fmt.Errorf("its port %s is above 65535", digits)
	}
	return strconv.FormatUint(port, 10), nil
}

func (t target) ownPort() string {
	if t.secure {
		return "443"
	}
	return "80"
}

// String is the URL without user and password.
func (t target) String() string { return t.shown }

// web is the URL as what knows only http and https sees it.
func (t target) web() *url.URL {
	u := *t.url
	u.Scheme = "http"
	if t.secure {
		u.Scheme = "https"
	}
	return &u
}

// sameOrigin says whether what is secret between the user and one may go to the
// other.
func (t target) sameOrigin(other target) bool {
	return t.secure == other.secure && strings.EqualFold(t.hostport, other.hostport)
}

// secrets are the headers that are meant for one server.
var secrets = [...]string{"Authorization", "Cookie", "Proxy-Authorization"}

// withoutSecrets is h without secrets, spelt in any way.
func withoutSecrets(h http.Header) http.Header {
	clean := h.Clone()
	for name := range h {
		for _, secret := range secrets {
			if strings.EqualFold(name, secret) {
				delete(clean, name)
			}
		}
	}
	return clean
}

// withUser is h with an Authorization header for user, unless it has one.
func withUser(h http.Header, user *url.Userinfo) http.Header {
	if user == nil {
		return h
	}
	for name := range h {
		if strings.EqualFold(name, "Authorization") {
			return h
		}
	}
	h = cloned(h)
	h.Set("Authorization", basicAuth(user))
	return h
}

// basicAuth is the value of a header with a user and password (RFC 7617).
func basicAuth(user *url.Userinfo) string {
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}

// withCookies is h with cookies besides those it has (RFC 6265 section 5.4: in
// one header).
func withCookies(h http.Header, cookies []*http.Cookie) http.Header {
	if len(cookies) == 0 {
		return h
	}
	clean := cloned(h)
	var own []string
	for name, values := range h {
		if strings.EqualFold(name, "Cookie") {
			own = append(own, values...)
			delete(clean, name)
		}
	}
	req := http.Request{Header: clean}
	if len(own) > 0 {
		clean.Set("Cookie", strings.Join(own, "; "))
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	return clean
}

func cloned(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	return h.Clone()
}
