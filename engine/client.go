package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/sharedloop"
	"github.com/fanloop-go/fanloop/engine/internal/tlsconfig"
	"github.com/fanloop-go/fanloop/engine/internal/transport"
	"github.com/fanloop-go/fanloop/engine/internal/wsurl"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// Dial opens a WebSocket to rawURL: wss://user:password@host:port/path?query, or
// ws; http and https count as ws and wss. It returns when the opening handshake is over, ctx is done, or
// Limits.HandshakeTimeout has passed, which bounds everything from the lookup of the
// name to the last redirect. opt may be nil. The addresses of a name are tried side
// by side, as net.Dialer does (RFC 6555).
//
// Errors, none of which shows a user or password:
//   - *OptionError: a field of opt has an invalid value
//   - *URLError: rawURL is not a valid URL for a WebSocket
//   - *DialError: all others. Stage says how far Dial got, Timeout whether time ran out,
//     and the text what to do
//
// What a DialError wraps:
//   - *net.DNSError, *net.OpError: what the network says
//   - *ProxyError: a proxy gives no way to the server
//   - *tls.CertificateVerificationError: its certificate is not trusted
//   - *StatusError: it answered with something else than 101
//   - *handshake.ResponseError: its answer breaks the protocol
//   - ErrNoAnswer, ErrNeedsTLS, ErrNotTLS: you may want another URL; the text says which
//   - ErrTooManyRedirects, ErrInsecureRedirect: it redirects to where Dial does not go
//   - ErrHandshakeTimeout: Limits.HandshakeTimeout is over
//   - the cause of ctx, if that has ended
//   - ErrInCallback: Dial would wait for the loop it is called on; call it on a
//     goroutine of its own
//
// Dial waits, so it holds up any loop it is called on. It notices, and returns
// ErrInCallback, on a loop of opt.Group, and without a Group in a callback of
// another connection without one.
//
// Percent-encode what is special in user and password: the first slash, question
// mark or number sign ends them (RFC 3986 section 3.2). If an @ follows that, errors
// leave out whatever may be meant as a password.
func Dial(ctx context.Context, rawURL string, opt *DialOptions) (*WebSocket, error) {
	if opt == nil {
		opt = new(DialOptions)
	}
	if err := opt.checkOptions(); err != nil {
		return nil, err
	}
	t, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	d := &dialer{
		opt:      opt,
		origin:   t,
		settings: newSettings(codec.Client, opt.Limits, opt.Callbacks, opt.Logger),
	}
	d.settings.compressor = newCompressor(opt.Compression, d.settings, new(deflated))
	ws, err := d.dial(ctx)
	if err != nil {
		return nil, &DialError{URL: t.String(), Stage: d.stage, Err: err}
	}
	return ws, nil
}

// parseURL reads a URL to dial. The error is a *URLError.
func parseURL(rawURL string) (wsurl.Target, error) {
	t, err := wsurl.Parse(rawURL)
	if err != nil {
		return t, &URLError{URL: t.String(), Err: err}
	}
	return t, nil
}

// clients is the loop of connections that name no Group.
var clients sharedloop.Loop

// dialer is one call of Dial.
type dialer struct {
	opt      *DialOptions
	origin   wsurl.Target // what was asked for
	settings *settings
	group    *loop.Group
	stage    DialStage // of the attempt under way
}

// dial makes attempts, one for each redirect, until there is a connection or an
// error.
func (d *dialer) dial(ctx context.Context) (*WebSocket, error) {
	d.group = d.opt.Group
	if d.group == nil {
		group, err := clients.Acquire(d.settings.log)
		if err != nil {
			return nil, err
		}
		defer clients.Release() // of Dial itself; the connection has its own
		d.group, d.settings.onEnd = group, clients.Release
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

// attempt asks one server. It calls Proxy, NetDial and Jar of opt: a panic of these
// is its error, and runtime.Goexit ends the caller, whose goroutine it is.
func (d *dialer) attempt(ctx context.Context, t wsurl.Target) (ws *WebSocket, err error) {
	var h held
	returned := false
	defer func() {
		if !returned {
			h.drop()
			if v := recover(); v != nil {
				panicked := loop.NewPanicError(v)
				d.settings.logPanic(panicked, panicFailsDial) // its text leaves out the value
				ws, err = nil, panicked
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

func (d *dialer) ask(ctx context.Context, t wsurl.Target, h *held) (*WebSocket, error) {
	d.stage = StageSetup
	c, err := d.newConnect(t) // a mistake in opt shows before anything is sent
	if err != nil {
		return nil, err
	}
	d.stage = StageConnect
	tr, err := d.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	h.nc = tr.Conn
	var first stage = c
	if t.Secure {
		first = &secure{config: tlsconfig.Client(d.opt.TLS, t.Host), received: tr.Received, next: c}
	} else {
		c.received = tr.Received
	}
	ws, err := d.adopt(tr, first)
	if err != nil {
		_ = tr.Conn.Close()
		return nil, d.notTaken(tr.Conn, err)
	}
	d.stage = StageUpgrade
	h.ws = ws
	ended, err := d.await(ctx, c, ws)
	if t.Secure && !c.asked.Load() {
		d.stage = StageTLS
	}
	if !ended {
		return nil, err
	}
	if c.resp != nil {
		d.keepCookies(t, c.resp)
	}
	if err != nil {
		return nil, explain(err, t.Secure, c.head)
	}
	return ws, nil
}

// notTaken explains why the loops do not take nc: what passes, such as a lack of descriptors,
// or what NetDial has to change.
func (d *dialer) notTaken(nc net.Conn, err error) error {
	if d.opt.NetDial == nil || passes(err) {
		return err
	}
	remedy := "return a *net.TCPConn or a *net.UnixConn, whose descriptor moves to a loop"
	if _, ok := nc.(*tls.Conn); ok {
		remedy = "return the connection below its TLS, and dial wss://, for which Dial does the TLS"
	}
	return &OptionError{Field: "NetDial", Value: fmt.Sprintf("a function that returned a %T", nc), Remedy: remedy}
}

// await waits for the end of the opening handshake, and returns its error. If ctx ends
// first, c still belongs to the loop, and the error is the cause of that.
func (d *dialer) await(ctx context.Context, c *connect, ws *WebSocket) (ended bool, err error) {
	select {
	case err := <-c.result:
		return true, err
	case <-ctx.Done():
	}
	select {
	case err := <-c.result: // first
		return true, err
	default:
	}
	ws.conn.Close(loop.CloseNow)
	return false, context.Cause(ctx)
}

// connect connects to t, through a proxy if there is one for it.
func (d *dialer) connect(ctx context.Context, t wsurl.Target) (transport.Transport, error) {
	tr, err := (&transport.Dialer{
		Proxy:     d.opt.Proxy,
		NetDial:   d.opt.NetDial,
		LocalAddr: d.opt.LocalAddr,
		Control:   loop.BindLate,
		Head:      d.settings.limits.head(),
	}).Dial(ctx, t)
	if refused, ok := errors.AsType[*transport.ProxyError](err); ok {
		err = (*ProxyError)(refused)
	}
	if err != nil {
		d.stage = stageOf(err)
	}
	return tr, err
}

// adopt moves a transport to a loop, where first takes over.
func (d *dialer) adopt(tr transport.Transport, first stage) (*WebSocket, error) {
	ws := newWebSocket(d.settings, &opening{first})
	if d.opt.Group == nil {
		if _, err := clients.Acquire(d.settings.log); err != nil {
			return nil, err
		}
	}
	err := d.group.Adopt(tr.Conn, (*handler)(ws), &d.settings.policy)
	if err != nil && d.opt.Group == nil {
		clients.Release()
	}
	return ws, err
}

// header is what a request to t has besides the handshake's own.
func (d *dialer) header(t wsurl.Target) http.Header {
	h := t.Header(d.opt.Header, d.origin)
	if d.opt.Jar != nil {
		h = wsurl.WithCookies(h, d.opt.Jar.Cookies(t.Web()))
	}
	return h
}

func (d *dialer) keepCookies(t wsurl.Target, resp *handshake.Response) {
	if d.opt.Jar == nil {
		return
	}
	answer := http.Response{Header: http.Header{"Set-Cookie": resp.Values("Set-Cookie")}}
	if cookies := answer.Cookies(); len(cookies) > 0 {
		d.opt.Jar.SetCookies(t.Web(), cookies)
	}
}
