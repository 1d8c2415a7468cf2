package wsurl

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

var errNoURL = errors.New("this is not a URL; what is special in its user and password must be percent-encoded")

// WithoutURL returns err, an error of url.Parse for rawURL, without the URL, which
// may hold a password.
func WithoutURL(rawURL string, err error) error {
	var parse *url.Error
	if !errors.As(err, &parse) || strings.Contains(rawURL, "@") {
		return errNoURL
	}
	return err
}

// withoutUser returns u as errors show it: without what is a user or password, or
// may be meant as one.
func withoutUser(u *url.URL) string {
	switch {
	case u.Opaque != "":
		return "..."
	case mayHideUser(u):
		return u.Scheme + "://..."
	case HasLaterAt(u):
		return u.Scheme + "://" + u.Host + "/..."
	}
	clean := *u
	clean.User = nil
	return clean.String()
}

// mayHideUser reports whether the host of u may be meant as the beginning of a
// user and password, which would end at a later @: RFC 3986 section 3.2 ends the
// authority at the first slash, question mark or number sign. An IP address,
// localhost, and a name with a dot and no port are hosts.
func mayHideUser(u *url.URL) bool {
	if !HasLaterAt(u) {
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

// HasLaterAt reports whether u has an @ that ends no user.
func HasLaterAt(u *url.URL) bool {
	return strings.Contains(u.Host+u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@")
}
