package engine

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"

	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// DialOptions says how Dial connects. The zero value works. Dial only reads it,
// so several may use one at the same time.
type DialOptions struct {
	// OnUpgrade receives the open WebSocket before its first message is
	// delivered: the place to set callbacks. It runs on the loop that owns the
	// connection, so on any loop: variables it shares with others need a lock.
	OnUpgrade func(ws *WebSocket)
	// OnResponse receives what the server answered, before OnUpgrade and on the
	// same loop; refusals and redirects too, interim answers (1xx but 101) not. The
	// answer may be kept.
	OnResponse func(resp *handshake.Response)
	// Callbacks are those of the connection from the start.
	Callbacks Callbacks

	// Header holds further headers of the request, for instance Authorization.
	// The user and password of a URL become an Authorization header unless
	// Header has one.
	Header http.Header
	// Origin is sent as the Origin header; "" sends none.
	Origin string
	// Subprotocols are offered, the preferred one first.
	Subprotocols []string
	// Jar gives the cookies to send, and gets those that answers set, also
	// answers that refuse or redirect. It sees http for ws and https for wss. Its
	// methods run on the goroutine of Dial. nil: no cookies but those in Header.
	Jar http.CookieJar
	// MaxRedirects is how many answers 301, 302, 303, 307 and 308 are followed.
	// Default: none; such an answer is a *StatusError. A redirect from wss to ws
	// is refused, and what Header has of Authorization, Cookie and
	// Proxy-Authorization goes to another scheme, host or port no more than a
	// URL's user and password do.
	MaxRedirects int

	// Compression offers permessage-deflate (RFC 7692). nil offers nothing.
	Compression *Compression

	// TLS is how wss is spoken. It is cloned, gets the URL's host as ServerName if
	// it has none, and offers http/1.1, whatever its NextProtos are. nil means the
	// defaults of package tls: the roots of the system. A ClientSessionCache lets
	// later connections resume sessions.
	TLS *tls.Config
	// Limits bounds what the server may cost, as for a Server.
	Limits Limits
	// Proxy names the proxy for a URL, whose scheme is given as http for ws and
	// https for wss; a nil URL means none. Known are http (a tunnel by CONNECT),
	// socks5 and socks5h (the proxy resolves names, in both); user and password
	// may stand in the URL. A proxy behind TLS (https) is not supported.
	//
	// nil is http.ProxyFromEnvironment: HTTP_PROXY for ws, HTTPS_PROXY for wss and
	// NO_PROXY, as they were when this process first asked. ALL_PROXY means nothing
	// there, and localhost and loopback addresses get no proxy. With NetDial, nil means none. To use none
	// whatever the environment says: func(*url.URL) (*url.URL, error) { return nil, nil }.
	Proxy func(u *url.URL) (*url.URL, error)
	// NetDial replaces the dialer for addr, which is host:port of the server or
	// the proxy; network is "tcp". It runs on the goroutine of Dial and must
	// return when ctx is done. The connection must give access to its descriptor
	// (*net.TCPConn, *net.UnixConn), which moves to a loop.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	// LocalAddr is the address to connect from, for instance to have more
	// connections than one address has ports: on Linux port 0 is chosen at connect,
	// so that connections to different servers share ports. nil lets the kernel
	// choose. NetDial does not see it.
	LocalAddr net.Addr
	// Group is the loops that own the connection. nil means one loop that is
	// shared by all such connections and ends with the last of them.
	Group *loop.Group
	// Logger receives what no caller can be told. Default: slog.Default().
	Logger *slog.Logger
}
