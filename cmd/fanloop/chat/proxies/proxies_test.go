package proxies_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
)

// The client is the last address that is no proxy's, and nobody else is believed.
func TestClient(t *testing.T) {
	trusted := []string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"}
	for _, tt := range []struct{ name, header, peer, lines, want string }{
		{"one proxy", proxies.ForwardedFor, "10.0.0.1", "203.0.113.9", "203.0.113.9"},
		{"what the client made up is in front", proxies.ForwardedFor, "10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"},
		{"two proxies", proxies.ForwardedFor, "10.0.0.1", "1.1.1.1, 203.0.113.9, 192.0.2.7", "203.0.113.9"},
		{"several lines are one list", proxies.ForwardedFor, "10.0.0.1", "1.1.1.1|203.0.113.9, 10.3.3.3|192.0.2.7", "203.0.113.9"},
		{"proxies alone", proxies.ForwardedFor, "10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"},
		{"a peer that is none", proxies.ForwardedFor, "203.0.113.9", "1.1.1.1", "203.0.113.9"},
		{"a peer that says it came from a proxy", proxies.ForwardedFor, "203.0.113.9", "1.1.1.1, 10.0.0.1", "203.0.113.9"},
		{"no header", proxies.ForwardedFor, "10.0.0.1", "", "10.0.0.1"},
		{"the other header", proxies.ForwardedFor, "10.0.0.1", "forwarded:for=1.1.1.1", "10.0.0.1"},
		{"garbage of the client", proxies.ForwardedFor, "10.0.0.1", "<script>, \", 203.0.113.9", "203.0.113.9"},
		{"garbage of a proxy", proxies.ForwardedFor, "10.0.0.1", "1.1.1.1, unknown, 192.0.2.7", "192.0.2.7"},
		{"nothing but garbage", proxies.ForwardedFor, "10.0.0.1", "256.1.1.1", "10.0.0.1"},
		{"empty elements", proxies.ForwardedFor, "10.0.0.1", " , 203.0.113.9 ,, ", "203.0.113.9"},
		{"a port", proxies.ForwardedFor, "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"},
		{"a port that is none", proxies.ForwardedFor, "10.0.0.1", "203.0.113.9:x", "10.0.0.1"},
		{"IPv6", proxies.ForwardedFor, "fd00::1", "2001:db8::9", "2001:db8::9"},
		{"IPv6 in brackets", proxies.ForwardedFor, "fd00::1", "[2001:db8::9]", "2001:db8::9"},
		{"IPv6 with a port", proxies.ForwardedFor, "fd00::1", "[2001:db8::9]:80", "2001:db8::9"},
		{"IPv6 with a zone", proxies.ForwardedFor, "fd00::1", "fe80::9%eth0", "fe80::9"},
		{"brackets that do not close", proxies.ForwardedFor, "fd00::1", "[2001:db8::9", "fd00::1"},
		{"IPv4 in brackets", proxies.ForwardedFor, "fd00::1", "[203.0.113.9]", "fd00::1"},
		{"IPv4 as IPv6", proxies.ForwardedFor, "::ffff:10.0.0.1", "::ffff:203.0.113.9, ::ffff:10.1.1.1", "203.0.113.9"},
		{"RFC 7239", proxies.Forwarded, "10.0.0.1", `for=1.1.1.1;proto=https, For="203.0.113.9:80"; by=10.0.0.9`, "203.0.113.9"},
		{"RFC 7239, IPv6", proxies.Forwarded, "10.0.0.1", `proto=https;for="[2001:db8::9]:4711"`, "2001:db8::9"},
		{"RFC 7239, several lines", proxies.Forwarded, "10.0.0.1", `for=1.1.1.1|for=203.0.113.9|for=10.9.9.9`, "203.0.113.9"},
		{"RFC 7239, hidden", proxies.Forwarded, "10.0.0.1", `for=1.1.1.1, for=_secret, for=192.0.2.7`, "192.0.2.7"},
		{"RFC 7239, no for", proxies.Forwarded, "10.0.0.1", `for=1.1.1.1, proto=https`, "10.0.0.1"},
		{"RFC 7239, a quote of the client", proxies.Forwarded, "10.0.0.1", `for=", for=203.0.113.9`, "203.0.113.9"},
		{"RFC 7239, half a quote", proxies.Forwarded, "10.0.0.1", `for="203.0.113.9`, "10.0.0.1"},
		{"RFC 7239, the other header", proxies.Forwarded, "10.0.0.1", "x-forwarded-for:1.1.1.1", "10.0.0.1"},
		{"the PROXY header, and another", proxies.Protocol, "10.0.0.1", "x-forwarded-for:1.1.1.1", "10.0.0.1"},
	} {
		p, err := proxies.New(trusted, tt.header)
		if err != nil {
			t.Fatal(err)
		}
		values := func(header string) []string {
			lines := tt.lines
			if other, rest, named := strings.Cut(lines, ":"); named && (other == proxies.ForwardedFor || other == proxies.Forwarded) {
				if header != other {
					return nil
				}
				lines = rest
			}
			return strings.Split(lines, "|")
		}
		if got := p.Client(netip.MustParseAddr(tt.peer), values); got != netip.MustParseAddr(tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}

// Without proxies nobody is believed, and a client without an address has none.
func TestNoProxies(t *testing.T) {
	values := func(string) []string { return []string{"1.1.1.1"} }
	var none proxies.Proxies
	if got := none.Client(netip.MustParseAddr("127.0.0.1"), values); got != netip.MustParseAddr("127.0.0.1") {
		t.Error(got)
	}
	if got := none.Client(netip.Addr{}, values); got.IsValid() {
		t.Error(got)
	}
	if none.Protocol() != nil {
		t.Error("a PROXY header is expected")
	}
}

func TestWrongSettings(t *testing.T) {
	for _, text := range []string{"", "a", "10.0.0", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.1:80", "unix"} {
		_, err := proxies.New([]string{"10.0.0.1", text}, proxies.ForwardedFor)
		if one, is := errors.AsType[*proxies.Error](err); !is || one.Index != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := proxies.New(nil, "x-real-ip"); !errors.Is(err, proxies.ErrHeader) {
		t.Error(err)
	}
}

// No header is read as more than what it says, whatever is in it.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{"1.1.1.1", `for="[::1]:80"`, "unknown, [::ffff:10.0.0.1]:1", `";,=[`} {
		f.Add(seed)
	}
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, line string) {
		for _, header := range []string{proxies.ForwardedFor, proxies.Forwarded} {
			p, err := proxies.New([]string{"10.0.0.0/8"}, header)
			if err != nil {
				t.Fatal(err)
			}
			added := map[string]string{proxies.ForwardedFor: ", 203.0.113.9", proxies.Forwarded: ", for=203.0.113.9"}[header]
			if got := p.Client(peer, func(string) []string { return []string{line + added} }); got != netip.MustParseAddr("203.0.113.9") {
				t.Errorf("%q hides what the proxy added: %v", line, got)
			}
			if got := p.Client(peer, func(string) []string { return []string{line} }); !got.IsValid() || got.Zone() != "" || got.Is4In6() {
				t.Errorf("%q: %v", line, got)
			}
		}
	})
}
