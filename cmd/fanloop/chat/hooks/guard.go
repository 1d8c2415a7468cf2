package hooks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errAddress: the name of a URL leads where it may not.
var errAddress = errors.New("the address is not allowed")

// transport connects to addresses that are allowed only. Names are looked up before
// that, so one that leads to another address the next time is found out.
func (c *Config) transport() http.RoundTripper {
	if c.Transport != nil {
		return c.Transport
	}
	dialer := &net.Dialer{
		Timeout: c.Timeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !allowed(at.Addr(), c.PublicOnly) {
				return errAddress
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext, // and no proxy, which would look names up itself
		TLSHandshakeTimeout:    c.Timeout,
		ResponseHeaderTimeout:  c.Timeout,
		MaxIdleConnsPerHost:    c.Concurrency,
		MaxConnsPerHost:        c.Concurrency,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 16 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// special are networks that are not the public Internet, besides those that package
// netip knows (RFC 6890 and the registries of IANA).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // leads to an address of IPv4
	netip.MustParsePrefix("3fff::/20"),
}

// global is where public addresses of IPv6 are.
var global = netip.MustParsePrefix("2000::/3")

// allowed reports whether a hook may connect to ip.
func allowed(ip netip.Addr, publicOnly bool) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return false
	}
	if !publicOnly {
		return true
	}
	if ip.IsLoopback() || ip.IsPrivate() || ip.Is6() && !global.Contains(ip) {
		return false
	}
	for _, network := range special {
		if network.Contains(ip) {
			return false
		}
	}
	return true
}
