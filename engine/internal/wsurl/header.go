package wsurl

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// secrets are the headers that are meant for one server.
var secrets = [...]string{"Authorization", "Cookie", "Proxy-Authorization"}

// Header returns what a request to t has of h, which is meant for origin: the
// secrets in it, and the user of origin, go to the same origin only. The user of t
// or origin becomes an Authorization header unless h has one. h is not changed.
func (t Target) Header(h http.Header, origin Target) http.Header {
	user := t.User
	if !t.SameOrigin(origin) {
		h = withoutSecrets(h)
	} else if user == nil {
		user = origin.User
	}
	return withUser(h, user)
}

// withoutSecrets returns h without secrets, spelt in any way.
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

// withUser returns h with an Authorization header for user, unless it has one.
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
	h.Set("Authorization", BasicAuth(user))
	return h
}

// BasicAuth returns the value of a header with a user and password (RFC 7617).
func BasicAuth(user *url.Userinfo) string {
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}

// WithCookies returns h with cookies besides those it has, in one header (RFC 6265
// section 5.4). h is not changed.
func WithCookies(h http.Header, cookies []*http.Cookie) http.Header {
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
