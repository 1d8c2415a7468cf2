package wsurl

import (
	"strings"
	"testing"
)

// A port that cannot be is named, and no other part of the URL.
func TestPortThatCannotBeIsNamed(t *testing.T) {
	for _, url := range []string{"ws://a.test:65536/", "wss://a.test:70000", "ws://[::1]:99999999999999999999/", "ws://u:p@a.test:65536/"} {
		_, err := Parse(url)
		if err == nil || !strings.Contains(err.Error(), "port") || strings.Contains(err.Error(), "Host") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// http and https are what a browser or httptest.Server has.
func TestWebURLCountsAsWebSocketURL(t *testing.T) {
	for url, want := range map[string]string{
		"http://u:p@a.test:81/x?y": "ws://a.test:81/x?y", "https://a.test/": "wss://a.test/", "HTTPS://a.test": "wss://a.test",
	} {
		if got, err := Parse(url); err != nil || got.String() != want || got.URL.String() != want || got.Secure != strings.HasPrefix(want, "wss") {
			t.Errorf("%s: %s (%v), want %s", url, got, err, want)
		}
	}
}

// What has no scheme may look as if it had: localhost:9 has the scheme localhost.
func TestMissingSchemeIsSaid(t *testing.T) {
	for url, missing := range map[string]bool{
		"localhost:9": true, "a.test:9001/x": true, ":9001": true, "127.0.0.1:9001": true, "a.test": true, "//a.test/": true, "[::1]:80": true,
		"ftp://a.test": false, "mailto:a": false, "user:secret@a.test": false, "ws:9001": true,
	} {
		if _, err := Parse(url); err == nil || strings.Contains(err.Error(), "no scheme") != missing {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// F-s: the same place spelt in another way is dialed, and asked for, as itself.
func TestPlaceIsSpeltInOneWay(t *testing.T) {
	for url, want := range map[string]struct{ dialed, authority, host string }{
		"ws://a.test/":                   {"a.test:80", "a.test", "a.test"},
		"ws://a.test:/":                  {"a.test:80", "a.test", "a.test"},
		"ws://a.test:80/":                {"a.test:80", "a.test", "a.test"},
		"ws://a.test:0080/":              {"a.test:80", "a.test", "a.test"},
		"ws://a.test:08080/":             {"a.test:8080", "a.test:8080", "a.test"},
		"wss://a.test/":                  {"a.test:443", "a.test", "a.test"},
		"wss://a.test:80/":               {"a.test:80", "a.test:80", "a.test"},
		"ws://[2001:DB8:0::1]:0080/":     {"[2001:db8::1]:80", "[2001:db8::1]", "2001:db8::1"},
		"ws://[2001:db8::1]:443/":        {"[2001:db8::1]:443", "[2001:db8::1]:443", "2001:db8::1"},
		"ws://[fe80::1%25lo]:8080/where": {"[fe80::1%lo]:8080", "[fe80::1]:8080", "fe80::1"},
	} {
		got, err := Parse(url)
		if err != nil || got.HostPort != want.dialed || got.Authority != want.authority || got.Host != want.host {
			t.Errorf("%s: %s, %s, %s (%v), want %+v", url, got.HostPort, got.Authority, got.Host, err, want)
		}
	}
}

func TestSameOriginIsSchemeHostAndPort(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"ws://a.test/", "ws://u:p@A.test:80/other?q", true},
		{"ws://a.test/", "ws://a.test:81/", false},
		{"ws://a.test/", "ws://b.test/", false},
		{"ws://a.test:443/", "wss://a.test/", false},
		{"ws://[::1]/", "ws://[0:0::1]:0080/", true},
	} {
		a, errA := Parse(c.a)
		b, errB := Parse(c.b)
		if errA != nil || errB != nil || a.SameOrigin(b) != c.same {
			t.Errorf("%s and %s: same origin %v (%v, %v)", c.a, c.b, !c.same, errA, errB)
		}
	}
}

func FuzzErrorsOfURLsHoldNoPassword(f *testing.F) {
	for _, rest := range []string{"@a:b/", "%et@a/", "/x@a/", "?x@a", "#x@a", "@a/#part", "@", "@[::1", "@bücher.test", "\x7f@a", "@@a"} {
		f.Add("ws://user:", rest)
		f.Add("user:", rest)
		f.Add("ws:user:", rest)
		f.Add("//user:", rest)
		f.Add("ws:///user:", rest)
	}
	f.Add("ws://user:12/", "@a")
	f.Add("http://127.0.0.1/user:", "@a")
	const password = "s3cr3t"
	f.Fuzz(func(t *testing.T, before, rest string) {
		if !strings.Contains(before, "user:") || !strings.Contains(rest, "@") {
			t.Skip("no user with a password")
		}
		target, err := Parse(before + password + rest)
		if err == nil {
			return
		}
		if shown := target.String() + " " + err.Error(); strings.Contains(shown, password) {
			t.Errorf("%q is shown as %s", before+password+rest, shown)
		}
	})
}
