package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"

	"github.com/fanloop-go/fanloop/loop"
)

// ProxyProtocol says whose word about the client's address is taken: that of
// proxies which begin each connection with a PROXY header, version 1 or 2
// (HAProxy's proxy-protocol.txt). The addresses in it become RemoteAddr and
// LocalAddr of the WebSocket, of the handshake.Request, and of an http.Request
// that goes to Server.HTTP.
//
// A trusted peer has to send the header: without one, or with a malformed one,
// its connection is dropped and a line logged, one a second at most. With the
// command LOCAL or the protocol UNKNOWN, its own address stays. A header takes
// at most 107 bytes in version 1 and 4 KiB in version 2; what version 2 adds to
// the addresses is skipped. From a peer that is not trusted a header is no more
// than a malformed request.
type ProxyProtocol struct {
	// Trusted are the addresses of the proxies. Empty: nobody by address. IPv4 may
	// be written as IPv6 (::ffff:10.0.0.0/104); a network that is not valid, or
	// ends between the two, is an error of Listen and Serve.
	Trusted []netip.Prefix
	// TrustUnix trusts whoever may connect to a unix socket, where peers have no
	// address.
	TrustUnix bool
}

// clone is a copy that a server can keep, with networks as trusts compares them.
func (p *ProxyProtocol) clone() (*ProxyProtocol, error) {
	if p == nil {
		return nil, nil
	}
	clone := &ProxyProtocol{Trusted: slices.Clone(p.Trusted), TrustUnix: p.TrustUnix}
	for i, t := range clone.Trusted {
		const mapped = 96 // bits of ::ffff:0:0/96, RFC 4291 section 2.5.5.2
		switch {
		case !t.IsValid():
			return nil, fmt.Errorf("engine: ProxyProtocol.Trusted[%d] is not a valid network", i)
		case t.Addr().Is4In6() && t.Bits() < mapped:
			return nil, fmt.Errorf("engine: ProxyProtocol.Trusted[%d]: %v holds more than IPv4 addresses; write 0.0.0.0/0 for all of them", i, t)
		case t.Addr().Is4In6():
			clone.Trusted[i] = netip.PrefixFrom(t.Addr().Unmap(), t.Bits()-mapped)
		}
	}
	return clone, nil
}

func (p *ProxyProtocol) trusts(peer net.Addr) bool {
	switch peer := peer.(type) {
	case *net.UnixAddr:
		return p.TrustUnix
	case *net.TCPAddr:
		addr := peer.AddrPort().Addr().Unmap().WithZone("")
		return slices.ContainsFunc(p.Trusted, func(t netip.Prefix) bool { return t.Contains(addr) })
	}
	return false
}

// addrs are the addresses of a connection, as a proxy tells them.
type addrs struct{ remote, local net.Addr }

// proxyHeader is the PROXY header of a connection, which comes before next.
type proxyHeader struct {
	config *ProxyProtocol
	next   opening
	bad    *loop.Throttle

	// Owned by the loop.
	head []byte // received so far, if it came in pieces
}

func (p *proxyHeader) begin(ws *WebSocket) {
	if !p.config.trusts(ws.conn.RemoteAddr()) {
		ws.advance(p.next, nil)
	}
}

func (p *proxyHeader) data(ws *WebSocket, b []byte) {
	head, before := b, len(p.head)
	if before > 0 {
		p.head = append(p.head, b[:min(len(b), maxProxyHeader-before)]...)
		head = p.head
	}
	ends, n, err := parseProxyHeader(head)
	switch {
	case err != nil:
		p.bad.Log(ws.settings().log, slog.LevelWarn, "engine: a trusted proxy sent no valid PROXY header; its connection is dropped",
			slog.Any("proxy", ws.conn.RemoteAddr()), slog.Any("err", err))
		ws.conn.Close(loop.CloseNow)
	case n == 0 && before == 0:
		p.head = append(p.head, b...)
	case n > 0:
		if ends != nil {
			ws.conn.Lock()
			ws.extrasLocked().told = ends
			ws.conn.Unlock()
		}
		ws.advance(p.next, b[n-before:])
	}
}

func (p *proxyHeader) timeout(ws *WebSocket) { ws.conn.Close(loop.CloseNow) }

func (p *proxyHeader) lost(ws *WebSocket, err error) { p.next.lost(ws, err) }

const (
	maxProxyHeaderV1 = 107
	proxyHeadV2      = 16 // of fixed length, before what it says the length of
	maxProxyHeader   = proxyHeadV2 + 4<<10
)

var (
	errNoProxyHeader   = errors.New("the connection does not begin with PROXY")
	errLongProxyHeader = errors.New("the PROXY header is too long")
)

// parseProxyHeader reads the PROXY header at the front of b, of n bytes. n == 0
// means that b is too short, which it never is from maxProxyHeader on. ends is
// nil if the header says that the connection is the proxy's own.
func parseProxyHeader(b []byte) (ends *addrs, n int, err error) {
	switch {
	case hasPrefixSoFar(b, proxyproto.SIGV1):
		line := b[:min(len(b), maxProxyHeaderV1)]
		n = bytes.IndexByte(line, '\n') + 1
		if n == 0 && len(line) == maxProxyHeaderV1 {
			return nil, 0, errLongProxyHeader
		}
	case hasPrefixSoFar(b, proxyproto.SIGV2):
		if len(b) < proxyHeadV2 {
			return nil, 0, nil
		}
		n = proxyHeadV2 + int(binary.BigEndian.Uint16(b[proxyHeadV2-2:]))
		if n > maxProxyHeader {
			return nil, 0, errLongProxyHeader
		}
	default:
		return nil, 0, errNoProxyHeader
	}
	if n == 0 || len(b) < n {
		return nil, 0, nil
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), n))
	if err != nil {
		return nil, 0, err
	}
	if h.Command.IsLocal() || h.SourceAddr == nil || h.DestinationAddr == nil {
		return nil, n, nil
	}
	return &addrs{remote: h.SourceAddr, local: h.DestinationAddr}, n, nil
}

// hasPrefixSoFar says whether b begins with prefix, or may once there is more.
func hasPrefixSoFar(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}
