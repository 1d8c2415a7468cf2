package engine

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// Dial opens a WebSocket to rawURL (wss://user:password@host:port/path?query, or
// ws). It waits until the opening handshake is over or ctx is done, or
// Limits.HandshakeTimeout has passed, which covers everything from the name to
// the last redirect; opt may be nil. If a name has several addresses, they are
// tried as net.Dialer does (RFC 6555).
//
// The error is an *OptionError if opt has a value that cannot be meant, a
// *URLError if rawURL leads nowhere, a *StatusError if the server answered with
// something else than 101, a *handshake.ResponseError if its answer breaks the
// protocol, a *ProxyError if a proxy gives no way to it, a
// *tls.CertificateVerificationError if its certificate is not trusted, or what
// TLS, the network or ctx said; no user or password is in its text. It is
// ErrInCallback on a loop of opt.Group or, without a Group, in a callback of another
// connection without one. On any other loop Dial holds that up.
//
// What is special in user and password must be percent-encoded: the first slash,
// question mark or number sign ends them (RFC 3986 section 3.2). An error whose URL
// has an @ behind that does not show what might be meant as a password.
func Dial(ctx context.Context, rawURL string, opt *DialOptions) (*WebSocket, error) {
	if opt == nil {
		opt = new(DialOptions)
	}
	if err := opt.checkOptions(); err != nil {
		return nil, err
	}
	t, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	d := &dialer{
		opt:      opt,
		origin:   t,
		settings: newSettings(codec.Client, opt.Limits, opt.Callbacks, opt.Logger),
	}
	d.settings.compressor = newCompressor(opt.Compression, d.settings)
	ws, err := d.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("engine: dial %s: %w", t, err)
	}
	return ws, nil
}

// dialer is one call of Dial.
type dialer struct {
	opt      *DialOptions
	origin   target // what was asked for
	settings *settings
	group    *loop.Group
}

// dial follows redirects until there is a connection or a reason why not.
func (d *dialer) dial(ctx context.Context) (*WebSocket, error) {
	d.group = d.opt.Group
	if d.group == nil {
		group, err := clients.acquire(d.settings.log)
		if err != nil {
			return nil, err
		}
		defer clients.release() // of Dial itself; the connection has its own
		d.group, d.settings.gone = group, clients.release
	}
	if d.group.InCallback() {
		return nil, ErrInCallback
	}
	d.settings.panics = d.group.Panics()
	ctx, cancel := context.WithTimeoutCause(ctx, d.settings.limits.HandshakeTimeout, ErrHandshakeTimeout)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	select {
	case <-d.group.Done():
		return nil, loop.ErrStopped
	default:
	}
	go func() {
		select {
		case <-d.group.Done():
			stop(loop.ErrStopped)
		case <-ctx.Done():
		}
	}()
	for t, followed := d.origin, 0; ; followed++ {
		ws, err := d.attempt(ctx, t)
		if err == nil {
			return ws, nil
		}
		if t, err = d.redirect(t, followed, err); err != nil {
			return nil, err
		}
	}
}

// attempt asks one server. Proxy, NetDial and Jar of opt are called in it: a panic
// is its error, and runtime.Goexit ends the caller, whose goroutine it is.
func (d *dialer) attempt(ctx context.Context, t target) (ws *WebSocket, err error) {
	var h held
	returned := false
	defer func() {
		if !returned {
			h.drop()
			if v := recover(); v != nil {
				ws, err = nil, loop.NewPanicError(v)
			}
		}
	}()
	ws, err = d.ask(ctx, t, &h)
	returned = true
	return ws, err
}

// held is what an attempt has so far.
type held struct {
	nc net.Conn
	ws *WebSocket // has taken nc
}

func (h *held) drop() {
	switch {
	case h.ws != nil:
		h.ws.conn.Close(loop.CloseNow)
	case h.nc != nil:
		_ = h.nc.Close()
	}
}

func (d *dialer) ask(ctx context.Context, t target, h *held) (*WebSocket, error) {
	c, err := d.newConnect(t) // a mistake in opt shows before anything is sent
	if err != nil {
		return nil, err
	}
	tr, err := d.transport(ctx, t)
	if err != nil {
		return nil, err
	}
	h.nc = tr.conn
	var first opening = c
	if t.secure {
		first = &secure{config: d.tlsConfig(t), received: tr.received, next: c}
	} else {
		c.received = tr.received
	}
	ws, err := d.adopt(tr, first)
	if err != nil {
		_ = tr.conn.Close()
		return nil, err
	}
	h.ws = ws
	select {
	case err = <-c.result:
	case <-ctx.Done():
		select {
		case err = <-c.result: // first
		default:
			ws.conn.Close(loop.CloseNow)
			return nil, context.Cause(ctx)
		}
	}
	if c.resp != nil {
		d.keepCookies(t, c.resp)
	}
	if err != nil {
		return nil, err
	}
	return ws, nil
}

// adopt moves a transport to a loop, where first takes over.
func (d *dialer) adopt(tr transport, first opening) (*WebSocket, error) {
	ws := newWebSocket(d.settings, first)
	if d.opt.Group == nil {
		if _, err := clients.acquire(d.settings.log); err != nil {
			return nil, err
		}
	}
	err := d.group.Adopt(tr.conn, (*handler)(ws), &d.settings.policy)
	if err != nil && d.opt.Group == nil {
		clients.release()
	}
	return ws, err
}

// tlsConfig is how TLS is spoken with t.
func (d *dialer) tlsConfig(t target) *tls.Config {
	config := d.opt.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = t.host
	}
	config.NextProtos = []string{"http/1.1"}  // RFC 6455 is about no other
	config.DynamicRecordSizingDisabled = true // what is queued is one record
	return config
}

// header is what a request to t has besides the handshake's own.
func (d *dialer) header(t target) http.Header {
	h := d.opt.Header
	user := t.user
	if !t.sameOrigin(d.origin) {
		h = withoutSecrets(h)
	} else if user == nil {
		user = d.origin.user
	}
	h = withUser(h, user)
	if d.opt.Jar != nil {
		h = withCookies(h, d.opt.Jar.Cookies(t.web()))
	}
	return h
}

func (d *dialer) keepCookies(t target, resp *handshake.Response) {
	if d.opt.Jar == nil {
		return
	}
	answer := http.Response{Header: http.Header{"Set-Cookie": resp.Values("Set-Cookie")}}
	if cookies := answer.Cookies(); len(cookies) > 0 {
		d.opt.Jar.SetCookies(t.web(), cookies)
	}
}
