package handshake

import "testing"

func originRequest(t *testing.T, host, origin string) *Request {
	t.Helper()
	if origin == "-" {
		return parse(t, upgradeHead("GET / HTTP/1.1", "Host: "+host))
	}
	return parse(t, upgradeHead("GET / HTTP/1.1", "Host: "+host, "+Origin: "+origin))
}

// H08
func TestSameHost(t *testing.T) {
	for _, test := range []struct {
		host, origin string // "-": none
		want         bool
	}{
		{"example.com", "-", true},
		{"example.com", "https://example.com", true},
		{"example.com", "http://example.com", true},
		{"EXAMPLE.com", "https://example.COM", true},
		{"example.com:443", "https://example.com", true},
		{"example.com", "https://example.com:443", true},
		{"example.com", "http://example.com:80", true},
		{"example.com:8080", "http://example.com:8080", true},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"[::1]", "http://[::1]", true},
		{"example.com:8080", "http://example.com", false},
		{"example.com", "http://example.com:8080", false},
		{"example.com:80", "https://example.com", false},
		{"example.com", "null", false},
		{"example.com", "", false},
		{"example.com", "https://evil.com", false},
		{"example.com", "https://example.com.evil.com", false},
		{"example.com", "https://sub.example.com", false},
		{"example.com", "https://evil.com/https://example.com", false},
		{"example.com", "https://example.com/", false},
		{"example.com", "https://example.com@evil.com", false},
		{"example.com", "https://u@example.com", false},
		{"example.com", "https://example.com https://evil.com", false},
		{"example.com", "example.com", false},
		{"example.com", "//example.com", false},
		{"example.com", "chrome-extension://example.com", false},
		{"[::1]", "http://[::2]", false},
	} {
		if got := SameHost(originRequest(t, test.host, test.origin)); got != test.want {
			t.Errorf("host %q, origin %q: %v", test.host, test.origin, got)
		}
	}
	if SameHost(parse(t, upgradeHead("GET / HTTP/1.1", "+Origin: http://example.com", "+Origin: http://example.com"))) {
		t.Error("two Origins are allowed")
	}
}

// H08
func TestAllowOrigins(t *testing.T) {
	policy := AllowOrigins("https://app.example.com", "https://*.example.org", "http://localhost:8080", "capacitor://localhost")
	for origin, want := range map[string]bool{
		"-":                            true,
		"https://app.example.com":      true,
		"https://APP.example.com:443":  true,
		"http://localhost:8080":        true,
		"capacitor://localhost":        true,
		"https://a.example.org":        true,
		"https://a.b.EXAMPLE.org":      true,
		"https://example.org":          false,
		"https://.example.org":         false,
		"https://evilexample.org":      false,
		"https://a.example.org.evil.c": false,
		"https://a.example.org:8443":   false,
		"http://a.example.org":         false,
		"http://app.example.com":       false,
		"https://app.example.com:8443": false,
		"http://localhost":             false,
		"https://example.com":          false, // the server's own host is not implied
		"null":                         false,
		"":                             false,
		"*":                            false,
		"https://*.example.org":        false,
	} {
		if got := policy(originRequest(t, "example.com", origin)); got != want {
			t.Errorf("origin %q: %v", origin, got)
		}
	}
	two := parse(t, upgradeHead("GET / HTTP/1.1", "+Origin: https://app.example.com", "+Origin: https://app.example.com"))
	if policy(two) {
		t.Error("two Origins are allowed")
	}
	if !AllowOrigins("null")(originRequest(t, "example.com", "null")) {
		t.Error("null is listed and refused")
	}
}

func TestRequireOrigin(t *testing.T) {
	policy := RequireOrigin(SameHost)
	for origin, want := range map[string]bool{"-": false, "https://example.com": true, "https://evil.com": false} {
		if got := policy(originRequest(t, "example.com", origin)); got != want {
			t.Errorf("origin %q: %v", origin, got)
		}
	}
	if !AllowAnyOrigin(originRequest(t, "example.com", "null")) {
		t.Error("AllowAnyOrigin refuses null")
	}
}

func TestAllowOriginsRefusesEntriesThatAreNoOrigins(t *testing.T) {
	for _, entry := range []string{"", "example.com", "*", "https://", "https://*", "https://*.", "https://a.com/", "https://a*.com", "https://*.*.com", "https://a.com:x"} {
		if _, err := ParseOrigins("https://good.com", entry); err == nil {
			t.Errorf("%q is taken", entry)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("AllowOrigins does not panic")
		}
	}()
	AllowOrigins("example.com")
}
