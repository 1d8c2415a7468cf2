package proxyheader

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Trust is whose headers are taken. Immutable.
type Trust struct {
	networks []netip.Prefix // IPv4 is never written as IPv6
	unix     bool
}

// NewTrust trusts the peers in networks, and those of unix sockets if unix. IPv4
// may be written as IPv6 (::ffff:10.0.0.0/104). The error names a network that is
// not valid, or ends between the two, by its index.
func NewTrust(networks []netip.Prefix, unix bool) (*Trust, error) {
	t := &Trust{networks: slices.Clone(networks), unix: unix}
	for i, n := range t.networks {
		const mapped = 96 // bits of ::ffff:0:0/96, RFC 4291 section 2.5.5.2
		switch {
		case !n.IsValid():
			return nil, fmt.Errorf("[%d] is not a valid network", i)
		case n.Addr().Is4In6() && n.Bits() < mapped:
			return nil, fmt.Errorf("[%d]: %v holds more than IPv4 addresses; write 0.0.0.0/0 for all of them", i, n)
		case n.Addr().Is4In6():
			t.networks[i] = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-mapped)
		}
	}
	return t, nil
}

// Covers reports whether headers of peer are taken.
func (t *Trust) Covers(peer net.Addr) bool {
	switch peer := peer.(type) {
	case *net.UnixAddr:
		return t.unix
	case *net.TCPAddr:
		addr := peer.AddrPort().Addr().Unmap().WithZone("")
		return slices.ContainsFunc(t.networks, func(n netip.Prefix) bool { return n.Contains(addr) })
	}
	return false
}
