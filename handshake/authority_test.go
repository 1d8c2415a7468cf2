package handshake

import "testing"

// F-s: an authority is what it names, however it is spelt (RFC 9110 §4.2.3).
func TestAuthoritiesAreComparedByWhatTheyName(t *testing.T) {
	const chat = "GET /chat HTTP/1.1"
	for name, head := range map[string]string{
		"Host with an empty port":            upgradeHead(chat, "Host: example.com:"),
		"Host and target in another case":    upgradeHead("GET http://EXAMPLE.com/ HTTP/1.1", "Host: Example.COM"),
		"default port in the target":         upgradeHead("GET http://example.com:80/ HTTP/1.1"),
		"default port of https":              upgradeHead("GET https://example.com:443/ HTTP/1.1"),
		"default port in the Host":           upgradeHead("GET http://example.com/ HTTP/1.1", "Host: example.com:80"),
		"empty port in the target":           upgradeHead("GET http://example.com:/ HTTP/1.1"),
		"empty port in the Host":             upgradeHead("GET http://example.com/ HTTP/1.1", "Host: example.com:"),
		"port with zeros":                    upgradeHead("GET http://example.com:08080/ HTTP/1.1", "Host: example.com:8080"),
		"IPv6 with zeros":                    upgradeHead("GET http://[2001:DB8:0::1]/ HTTP/1.1", "Host: [2001:db8::1]:80"),
		"Origin: default port in the Host":   upgradeHead(chat, "Host: example.com:80", "+Origin: http://example.com"),
		"Origin: empty port in the Host":     upgradeHead(chat, "Host: example.com:", "+Origin: https://example.com"),
		"Origin: default port":               upgradeHead(chat, "+Origin: https://example.com:443"),
		"Origin: empty port":                 upgradeHead(chat, "+Origin: https://example.com:"),
		"Origin: case":                       upgradeHead(chat, "+Origin: HTTP://eXample.com"),
		"Origin: port with zeros":            upgradeHead(chat, "Host: example.com:8080", "+Origin: http://example.com:08080"),
		"Origin: IPv6 with zeros":            upgradeHead(chat, "Host: [::1]:8080", "+Origin: http://[0:0::1]:8080"),
		"Origin: absolute target, its port":  upgradeHead("GET http://example.com:80/ HTTP/1.1", "+Origin: http://example.com"),
		"Origin: absolute target of a proxy": upgradeHead("GET https://example.com/ HTTP/1.1", "Host: example.com:443", "+Origin: https://example.com"),
	} {
		req, err := judge(head)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !SameHost(req) {
			t.Errorf("%s: the Origin %q is refused", name, req.Origin())
		}
	}
}

// F-s: what names something else stays refused.
func TestOtherAuthoritiesStayRefused(t *testing.T) {
	for name, head := range map[string]string{
		"port of the other scheme":      upgradeHead("GET http://example.com:443/ HTTP/1.1"),
		"default port of https on http": upgradeHead("GET https://example.com/ HTTP/1.1", "Host: example.com:80"),
		"other port":                    upgradeHead("GET http://example.com:8080/ HTTP/1.1"),
		"other IPv6 address":            upgradeHead("GET http://[::1]/ HTTP/1.1", "Host: [::2]"),
		"name with a dot behind it":     upgradeHead("GET http://example.com./ HTTP/1.1"),
		"empty Host":                    upgradeHead("GET http://example.com/ HTTP/1.1", "Host:"),
		"no name":                       upgradeHead("GET /chat HTTP/1.1", "Host: :80"),
		"port of many digits":           upgradeHead("GET /chat HTTP/1.1", "Host: a:18446744073709551696"), // 2^64 + 80
		"two colons":                    upgradeHead("GET /chat HTTP/1.1", "Host: a::80"),
	} {
		if _, err := judge(head); statusOf(t, err) != 400 {
			t.Errorf("%s: %v, want 400", name, err)
		}
	}
	for origin, host := range map[string]string{
		"http://example.com":       "example.com:443",
		"https://example.com":      "example.com:80",
		"http://example.com:8080":  "example.com",
		"http://example.com:":      "example.com:8080",
		"http://[::1]":             "[::2]",
		"http://example.com:99999": "example.com",
	} {
		if SameHost(parse(t, upgradeHead("GET / HTTP/1.1", "Host: "+host, "+Origin: "+origin))) {
			t.Errorf("the Origin %q is allowed at %q", origin, host)
		}
	}
}

// F-s: the same for the origins that a server lists.
func TestListedOriginsAreComparedByWhatTheyName(t *testing.T) {
	policy := AllowOrigins("https://example.com:443", "http://[2001:db8::0:1]:8080", "https://*.example.org:")
	for origin, want := range map[string]bool{
		"https://EXAMPLE.com":          true,
		"https://example.com:":         true,
		"https://example.com:0443":     true,
		"http://[2001:DB8::1]:8080":    true,
		"https://chat.example.org:443": true,
		"https://example.com:80":       false,
		"http://[2001:db8::1]":         false,
		"https://chat.example.org:80":  false,
	} {
		if got := policy(parse(t, upgradeHead("GET / HTTP/1.1", "+Origin: "+origin))); got != want {
			t.Errorf("%q: %v, want %v", origin, got, want)
		}
	}
}
