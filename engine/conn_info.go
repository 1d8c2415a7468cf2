package engine

import (
	"net"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
)

// RemoteAddr returns the address of the peer: that of the PROXY header if a trusted proxy sent
// one, otherwise the kernel's. The kernel's is nil after OnClose has returned; except on Linux,
// after a reset it is nil in OnClose too. Any goroutine.
func (ws *WebSocket) RemoteAddr() net.Addr {
	if known, ended := ws.addresses(); known != nil {
		return known.remote
	} else if ended {
		return nil
	}
	return ws.conn.RemoteAddr()
}

// LocalAddr returns the address that the client connected to, as RemoteAddr does for the peer.
// With a PROXY header it is an address of the proxy. Any goroutine.
func (ws *WebSocket) LocalAddr() net.Addr {
	if known, ended := ws.addresses(); known != nil {
		return known.local
	} else if ended {
		return nil
	}
	return ws.conn.LocalAddr()
}

// addresses returns the addresses that are known without a system call, and whether the
// connection has ended, after which the kernel knows no others.
func (ws *WebSocket) addresses() (known *addrs, ended bool) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extras
	switch {
	case x == nil:
		return nil, false
	case x.ending == nil:
		return x.proxied, false
	case x.proxied != nil:
		return x.proxied, x.ending.ended
	}
	return x.ending.kept, x.ending.ended
}

func (ws *WebSocket) proxiedAddrs() *addrs {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.extras == nil {
		return nil
	}
	return ws.extras.proxied
}

// Limits returns the limits of the connection, with the defaults in place of zeros. Any
// goroutine.
func (ws *WebSocket) Limits() Limits { return ws.settings().limits }

// Subprotocol returns the subprotocol agreed in the opening handshake (RFC 6455 section
// 1.9); "" if there is none. Any goroutine.
func (ws *WebSocket) Subprotocol() string {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.extras == nil {
		return ""
	}
	return ws.extras.subprotocol
}

// Extensions returns the Sec-WebSocket-Extensions that the opening handshake agreed on (RFC
// 6455 section 9.1); "" if there are none. Any goroutine.
func (ws *WebSocket) Extensions() string {
	if ws.out.Variant == frames.Plain {
		return ""
	}
	return handshake.FormatDeflate(ws.params)
}

// CloseStatus returns the code and reason that OnClose gets; 0 until the connection has ended.
// Any goroutine.
func (ws *WebSocket) CloseStatus() (StatusCode, string) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	e := ws.knownEndingLocked()
	if ws.phase() != outlet.Closed || e == nil {
		return 0, ""
	}
	return e.status.code, e.status.reason
}

// Server returns the server of the connection; nil if Dial made it. Any goroutine.
func (ws *WebSocket) Server() *Server { return ws.settings().server }
