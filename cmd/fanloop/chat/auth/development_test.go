package auth_test

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
)

func tcp(address string) net.Addr {
	a, err := net.ResolveTCPAddr("tcp", address)
	must(err)
	return a
}

// The development mode does not begin where others can reach the service.
func TestDevelopmentListensOnLoopback(t *testing.T) {
	for name, addrs := range map[string][]net.Addr{
		"none": {}, "nil": {nil}, "all": {tcp(":80")}, "all of IPv4": {tcp("0.0.0.0:80")}, "private": {tcp("10.0.0.1:80")},
		"one of two": {tcp("127.0.0.1:80"), tcp("192.168.0.1:80")}, "unix": {&net.UnixAddr{Name: "/tmp/x", Net: "unix"}},
	} {
		if _, err := auth.NewDevelopment(addrs...); !errors.Is(err, auth.ErrNotLoopback) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := auth.NewDevelopment(tcp("127.0.0.1:80"), tcp("[::1]:80"), tcp("127.8.8.8:1")); err != nil {
		t.Error(err)
	}
}

// Nor does it serve who is not on this machine, directly, by a proxy or by a name that
// an attacker's DNS has for 127.0.0.1.
func TestDevelopmentServesThisMachine(t *testing.T) {
	d, err := auth.NewDevelopment(tcp("127.0.0.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	local := tcp("127.0.0.1:5000")
	for _, host := range []string{"localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"} {
		if c, err := d.Identify("ann", local, host, http.Header{}); err != nil || c.User != "ann" || c.Expires.IsZero() {
			t.Errorf("%s: %+v, %v", host, c, err)
		}
	}
	for name, err := range map[string]error{
		"other machine":  second(d.Identify("ann", tcp("10.0.0.1:5000"), "localhost", nil)),
		"no address":     second(d.Identify("ann", nil, "localhost", nil)),
		"rebinding":      second(d.Identify("ann", local, "evil.example:8000", nil)),
		"like localhost": second(d.Identify("ann", local, "localhost.evil.example", nil)),
		"no host":        second(d.Identify("ann", local, "", nil)),
		"nginx":          second(d.Identify("ann", local, "localhost", http.Header{"X-Forwarded-For": {"1.2.3.4"}})),
		"Apache":         second(d.Identify("ann", local, "localhost", http.Header{"X-Forwarded-Server": {"x"}})),
		"Cloudflare":     second(d.Identify("ann", local, "localhost", http.Header{"Cf-Ray": {"x"}})),
		"RFC 7239":       second(d.Identify("ann", local, "localhost", http.Header{"Forwarded": {"for=1.2.3.4"}})),
	} {
		if !errors.Is(err, auth.ErrNotLoopback) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, user := range []string{"", "a\nb", "a\x00", strings.Repeat("u", 129), "a\xff"} {
		if _, err := d.Identify(user, local, "localhost", nil); err == nil {
			t.Errorf("%q is a user", user)
		}
	}
}
