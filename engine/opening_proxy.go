package engine

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/fanloop-go/fanloop/engine/internal/proxyheader"
	"github.com/fanloop-go/fanloop/loop"
)

// ProxyProtocol names the proxies whose PROXY header is believed, version 1 or 2
// (HAProxy's proxy-protocol.txt). The addresses in it become RemoteAddr and
// LocalAddr of the WebSocket, of the handshake.Request, and of an http.Request
// that goes to Server.HTTP.
//
// A trusted peer must send the header. Without one, or with a malformed one, its
// connection is dropped, and a line is logged, at most once a second. With the
// command LOCAL or the protocol UNKNOWN, the peer's own address stays. A header
// has at most 107 bytes in version 1 and 4 KiB in version 2; what version 2 adds to
// the addresses is skipped. From a peer that is not trusted, a header is a
// malformed request.
type ProxyProtocol struct {
	// Trusted are the addresses of the proxies. Empty: no address. IPv4 may
	// be written as IPv6 (::ffff:10.0.0.0/104); a network that is not valid, or
	// ends between the two, is an error of Listen and Serve.
	Trusted []netip.Prefix
	// TrustUnix trusts whoever may connect to a unix socket, where peers have no
	// address.
	TrustUnix bool
}

// trust returns p as connections are compared with it, nil if p is nil.
func (p *ProxyProtocol) trust() (*proxyheader.Trust, error) {
	if p == nil {
		return nil, nil
	}
	trust, err := proxyheader.NewTrust(p.Trusted, p.TrustUnix)
	if err != nil {
		return nil, fmt.Errorf("engine: ProxyProtocol.Trusted%w", err)
	}
	return trust, nil
}

// addrs are the addresses of a connection, as a proxy tells them.
type addrs struct{ remote, local net.Addr }

// proxyHeader reads the PROXY header of a connection, after which next begins.
type proxyHeader struct {
	trust *proxyheader.Trust
	next  stage
	bad   *loop.Throttle

	// Owned by the loop.
	head []byte // received so far, if it came in pieces
}

func (p *proxyHeader) begin(ws *WebSocket) {
	if !p.trust.Covers(ws.conn.RemoteAddr()) {
		ws.advance(p.next, nil)
	}
}

func (p *proxyHeader) data(ws *WebSocket, b []byte) {
	head, before := b, len(p.head)
	if before > 0 {
		p.head = append(p.head, b[:min(len(b), proxyheader.Max-before)]...)
		head = p.head
	}
	ends, n, err := proxyheader.Parse(head)
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
			ws.extrasLocked().proxied = &addrs{ends.Remote, ends.Local}
			ws.conn.Unlock()
		}
		ws.advance(p.next, b[n-before:])
	}
}

func (p *proxyHeader) timeout(ws *WebSocket) { ws.conn.Close(loop.CloseNow) }

func (p *proxyHeader) lost(ws *WebSocket, err error) { p.next.lost(ws, err) }
