package proxies

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fanloop-go/fanloop/engine"
)

// How proxies name the address that they got a request from. A node believes one of these:
// of the others a proxy may pass on what its client made up.
const (
	ForwardedFor = "x-forwarded-for"
	Forwarded    = "forwarded"      // RFC 7239
	Protocol     = "proxy-protocol" // a PROXY header in front of each connection
)

// Headers are the ways there are.
var Headers = []string{ForwardedFor, Forwarded, Protocol}

// ErrHeader: there is no such way.
var ErrHeader = errors.New("want " + strings.Join(Headers[:2], ", ") + " or " + Protocol)

// Proxies are those in front of a node. The zero value is none. It is immutable.
type Proxies struct {
	trusted []netip.Prefix
	header  string
}

// New returns the proxies with these addresses and networks. The error of one of them is an
// *Error.
func New(trusted []string, header string) (Proxies, error) {
	if !slices.Contains(Headers, header) {
		return Proxies{}, fmt.Errorf("%q: %w", header, ErrHeader)
	}
	p := Proxies{header: header}
	for i, one := range trusted {
		network, err := parse(one)
		if err != nil {
			return Proxies{}, &Error{i, one}
		}
		p.trusted = append(p.trusted, network)
	}
	return p, nil
}

// Error is about one of the proxies.
type Error struct {
	Index int
	Text  string
}

// Error says what is wanted.
func (e *Error) Error() string {
	return fmt.Sprintf("%q: want an address like 10.0.0.1, or a network like 10.0.0.0/8 or fd00::/8", e.Text)
}

// parse reads an address or a network.
func parse(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return network, errors.New("no address")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if network.Addr().Is4In6() {
		return network, errors.New("IPv4 as IPv6")
	}
	return network, nil
}

// Protocol is what a listener expects in front of a connection; nil: nothing.
func (p *Proxies) Protocol() *engine.ProxyProtocol {
	if p.header != Protocol || len(p.trusted) == 0 {
		return nil
	}
	return &engine.ProxyProtocol{Trusted: p.trusted}
}

// trusts reports whether an address is that of a proxy.
func (p *Proxies) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(p.trusted, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Client is the address of the client whose request came from peer. The values are those of
// a header, in the order of its lines. Where a proxy names no address, it is that of this
// proxy.
func (p *Proxies) Client(peer netip.Addr, values func(header string) []string) netip.Addr {
	client := plain(peer)
	if p.header == Protocol || !p.trusts(client) {
		return client // the listener has read the PROXY header
	}
	for _, line := range slices.Backward(values(p.header)) {
		for _, element := range slices.Backward(split(line, ",")) {
			next, ok := p.address(element)
			if !ok {
				return client
			}
			if client = next; !p.trusts(client) {
				return client
			}
		}
	}
	return client
}

// plain is an address as it is compared: IPv4 as IPv4, and without a zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// address reads one element of the list.
func (p *Proxies) address(element string) (netip.Addr, bool) {
	if p.header == ForwardedFor {
		return addressOf(element)
	}
	for _, pair := range split(element, ";") {
		name, value, found := strings.Cut(pair, "=")
		if found && strings.EqualFold(strings.TrimSpace(name), "for") {
			return addressOf(unquoted(value))
		}
	}
	return netip.Addr{}, false
}

// addressOf reads an address with or without a port, IPv6 with or without brackets.
func addressOf(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if both, err := netip.ParseAddrPort(text); err == nil {
		return plain(both.Addr()), true
	}
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		if text, bracketed = strings.CutSuffix(inner, "]"); !bracketed || !strings.Contains(text, ":") {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(text)
	return plain(a), err == nil
}

// unquoted is a token, or what a quoted string has. An address has nothing that is escaped.
func unquoted(value string) string {
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// split takes a list apart, without its empty elements. A quoted string has no separator
// where it is an address; where it is not, what the client sent hides nothing behind it.
func split(list, separator string) (elements []string) {
	for element := range strings.SplitSeq(list, separator) {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}
