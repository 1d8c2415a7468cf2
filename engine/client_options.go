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

// DialOptions configures Dial. The zero value works. Dial only reads it: several calls may share
// one.
type DialOptions struct {
	// OnUpgrade is called with the open WebSocket before its first message is delivered. Set
	// callbacks here. It runs on the loop that owns the connection: guard what it shares.
	OnUpgrade func(ws *WebSocket)
	// OnResponse is called with the answer of the server, before OnUpgrade and on the same loop. It
	// also gets refusals and redirects, and no interim answers (1xx except 101). You may keep the
	// answer.
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
	// Jar supplies the cookies to send, and stores those that answers set, also
	// answers that refuse or redirect. It sees http for ws and https for wss. Its
	// methods run on the goroutine of Dial. nil: no cookies except those in Header.
	Jar http.CookieJar
	// MaxRedirects is how many answers 301, 302, 303, 307 and 308 are followed.
	// Default: none; such an answer is a *StatusError, with the first KiB of its
	// body. A redirect from wss to ws is refused, and what Header has of Authorization, Cookie and
	// Proxy-Authorization goes to another scheme, host or port no more than a
	// URL's user and password do.
	MaxRedirects int

	// Compression offers permessage-deflate (RFC 7692). nil offers nothing.
	Compression *Compression

	// TLS configures wss. It is cloned. An empty ServerName becomes the URL's host,
	// and NextProtos become http/1.1. nil means the defaults of package tls: the roots
	// of the system. Set a ClientSessionCache to resume sessions.
	TLS *tls.Config
	// Limits bounds what the server may cost, as for a Server.
	Limits Limits
	// Proxy returns the proxy for a URL, whose scheme is http for ws and https for
	// wss. A nil URL means none. http (a tunnel by CONNECT), socks5 and socks5h (in
	// both the proxy resolves names) are supported, with user and password in the
	// URL; a proxy behind TLS (https) is not.
	//
	// nil is http.ProxyFromEnvironment, or none with NetDial. The environment is read
	// once in the process: HTTP_PROXY counts for ws, HTTPS_PROXY for wss, NO_PROXY
	// for both, and ALL_PROXY for neither. localhost and loopback addresses get no
	// proxy. To use none at all, set
	// func(*url.URL) (*url.URL, error) { return nil, nil }.
	Proxy func(u *url.URL) (*url.URL, error)
	// NetDial connects to addr instead of net.Dialer. addr is host:port of the server
	// or the proxy; network is "tcp". It runs on the goroutine of Dial; return when
	// ctx is done. The connection must give access to its descriptor (*net.TCPConn,
	// *net.UnixConn), which moves to a loop.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	// LocalAddr is the address to connect from, for instance to have more
	// connections than one address has ports: on Linux port 0 is chosen at connect,
	// so that connections to different servers share ports. nil lets the kernel
	// choose. NetDial does not see it.
	LocalAddr net.Addr
	// Group owns the connection. nil means one loop that all such connections share; it ends with
	// the last of them.
	Group *loop.Group
	// Logger receives what no call can return to you. Default: slog.Default().
	Logger *slog.Logger
}
