package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// DialOptions says how Dial connects. The zero value works.
type DialOptions struct {
	// OnUpgrade receives the open WebSocket before its first message is
	// delivered: the place to set callbacks. It runs on the loop that owns the
	// connection, so on any loop: variables it shares with others need a lock.
	OnUpgrade func(ws *WebSocket)
	// Callbacks are those of the connection from the start.
	Callbacks Callbacks

	// Header holds further headers of the request, for instance Authorization.
	Header http.Header
	// Origin is sent as the Origin header; "" sends none.
	Origin string
	// Subprotocols are offered, the preferred one first.
	Subprotocols []string

	// Limits bounds what the server may cost, as for a Server.
	Limits Limits
	// LocalAddr is the address to connect from, for instance to have more
	// connections than one address has ports. nil lets the kernel choose.
	LocalAddr net.Addr
	// Group is the loops that own the connection. nil means one loop that is
	// shared by all such connections and ends with the last of them.
	Group *loop.Group
	// Logger receives what no caller can be told. Default: slog.Default().
	Logger *slog.Logger
}

// StatusError is the answer of a server that refuses the opening handshake.
type StatusError = handshake.StatusError

// Dial opens a WebSocket to rawURL (ws://host:port/path?query). It waits until
// the opening handshake is over or ctx is done, or Limits.HandshakeTimeout has
// passed; opt may be nil. Names are resolved by the calling goroutine, and the
// addresses tried in turn.
//
// The error is a *StatusError if the server answered with something else than
// 101, a *handshake.ResponseError if its answer breaks the protocol, or what
// the network or ctx said. Any goroutine but a loop's own.
func Dial(ctx context.Context, rawURL string, opt *DialOptions) (*WebSocket, error) {
	if opt == nil {
		opt = new(DialOptions)
	}
	target, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	endpoint := newEndpoint(codec.Client, opt.Limits, opt.Callbacks, opt.Logger)
	ctx, cancel := context.WithTimeoutCause(ctx, endpoint.limits.HandshakeTimeout, ErrHandshakeTimeout)
	defer cancel()
	addrs, err := target.resolve(ctx)
	if err != nil {
		return nil, fmt.Errorf("engine: dial %s: %w", rawURL, causeOf(ctx, err))
	}
	group := opt.Group
	if group == nil {
		if group, err = clients.acquire(endpoint.log); err != nil {
			return nil, err
		}
		defer clients.release() // of Dial itself; the connection has its own
		endpoint.gone = clients.release
	}
	var failures []error
	for _, addr := range addrs {
		ws, err := dialOne(ctx, group, addr, target, endpoint, opt)
		if err == nil {
			return ws, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || !isNetError(err) {
			break
		}
	}
	return nil, fmt.Errorf("engine: dial %s: %w", rawURL, errors.Join(failures...))
}

// isNetError says whether another address may do better.
func isNetError(err error) bool {
	var status *handshake.StatusError
	var response *handshake.ResponseError
	return !errors.As(err, &status) && !errors.As(err, &response)
}

// causeOf prefers what ended ctx to how that showed.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// target is where a URL leads.
type target struct{ hostport, host, port, uri string }

func parseTarget(rawURL string) (target, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return target{}, fmt.Errorf("engine: dial: %w", err)
	}
	switch {
	case u.Scheme != "ws":
		return target{}, fmt.Errorf("engine: dial %q: scheme must be ws", rawURL)
	case u.Hostname() == "":
		return target{}, fmt.Errorf("engine: dial %q: no host", rawURL)
	case u.Fragment != "": // §3
		return target{}, fmt.Errorf("engine: dial %q: a WebSocket URL has no fragment", rawURL)
	}
	t := target{hostport: u.Host, host: u.Hostname(), port: u.Port(), uri: u.RequestURI()}
	if t.port == "" {
		t.port = "80"
	}
	return t, nil
}

func (t target) resolve(ctx context.Context) ([]net.Addr, error) {
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", t.port)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host)
	if err != nil {
		return nil, err
	}
	var addrs []net.Addr
	for _, ip := range ips {
		addrs = append(addrs, &net.TCPAddr{IP: ip.Unmap().AsSlice(), Port: port, Zone: ip.Zone()})
	}
	return addrs, nil
}

// dialOne tries one address.
func dialOne(ctx context.Context, group *loop.Group, addr net.Addr, t target, e *endpoint, opt *DialOptions) (*WebSocket, error) {
	c := &connect{
		opt:    opt,
		result: make(chan error, 1),
		req: handshake.ClientRequest{
			Host:         t.hostport,
			RequestURI:   t.uri,
			Key:          handshake.NewKey(),
			Origin:       opt.Origin,
			Subprotocols: opt.Subprotocols,
			Header:       opt.Header,
		},
	}
	var err error
	if c.request, err = handshake.AppendClientRequest(nil, &c.req); err != nil {
		return nil, err
	}
	ws := newWebSocket(e, c)
	if opt.Group == nil {
		if _, err := clients.acquire(e.log); err != nil {
			return nil, err
		}
	}
	if err := group.Dial(addr, (*handler)(ws), loop.DialConfig{Local: opt.LocalAddr, Policy: &e.policy}); err != nil {
		return nil, err
	}
	select {
	case err = <-c.result:
	case <-ctx.Done():
		ws.conn.Close(loop.CloseNow)
		err = context.Cause(ctx)
	case <-group.Done():
		err = loop.ErrStopped
	}
	if err != nil {
		return nil, err
	}
	return ws, nil
}

// connect is the opening handshake on the client's side (RFC 6455 section 4.1).
type connect struct {
	opt     *DialOptions
	req     handshake.ClientRequest
	request []byte
	result  chan error // told once

	// Owned by the loop.
	scanner handshake.Scanner
	head    []byte
	err     error // why the answer was no good
}

func (c *connect) begin(ws *WebSocket) {
	_ = ws.conn.Write(c.request, nil) // gone: lost follows
}

func (c *connect) data(ws *WebSocket, b []byte) {
	c.head = append(c.head, b...)
	n, err := c.scanner.Scan(c.head, ws.endpoint.limits.head())
	if err != nil {
		c.refuse(ws, &handshake.ResponseError{Reason: "the answer is not HTTP or over the limits", Cause: err})
		return
	}
	if n == 0 {
		return
	}
	resp, err := handshake.ParseResponse(c.head[:n])
	if err != nil {
		c.refuse(ws, err)
		return
	}
	agreed, err := resp.Check(&c.req)
	if err != nil {
		c.refuse(ws, err)
		return
	}
	rest := c.head[n:]
	ws.open(agreed.Subprotocol, func() {
		defer ws.guard()
		if c.opt.OnUpgrade != nil {
			c.opt.OnUpgrade(ws)
		}
	})
	c.result <- nil
	ws.receive(rest)
}

func (c *connect) refuse(ws *WebSocket, err error) {
	c.err = err
	ws.conn.Close(loop.CloseNow)
}

func (c *connect) timeout(*WebSocket) {} // Dial itself keeps the time

func (c *connect) lost(_ *WebSocket, err error) {
	switch {
	case c.err != nil:
		err = c.err
	case err == nil:
		err = ErrAbnormalClosure
	}
	c.result <- err
}

// clients is the group of dialed connections that name none.
var clients sharedGroup

// sharedGroup is one loop that runs while somebody uses it.
type sharedGroup struct {
	mu    sync.Mutex
	group *loop.Group
	users int
}

// acquire returns the group, to be given back by release.
func (g *sharedGroup) acquire(log *slog.Logger) (*loop.Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.group == nil {
		group, err := loop.Start(loop.Config{Loops: 1, Logger: log})
		if err != nil {
			return nil, err
		}
		g.group = group
	}
	g.users++
	return g.group, nil
}

// release gives the group back. It does not wait, so loops may call it.
func (g *sharedGroup) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users--; g.users > 0 {
		return
	}
	group := g.group
	g.group = nil
	go func() { _ = group.Stop(context.Background()) }() // without a deadline it cannot fail
}
