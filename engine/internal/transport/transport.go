// Package transport connects to the place that a ws or wss URL names: directly,
// or by a tunnel through a proxy.
package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/wsurl"
	"github.com/fanloop-go/fanloop/handshake"
)

// Transport is a connection to a server that nothing was asked on yet.
type Transport struct {
	Conn     net.Conn
	Received []byte // read from it already, behind the answer of a proxy
}

// Dialer connects. Immutable; the zero value works.
type Dialer struct {
	// Proxy names the proxy for a http or https URL. nil is
	// http.ProxyFromEnvironment, or no proxy if NetDial is set.
	Proxy func(u *url.URL) (*url.URL, error)
	// NetDial replaces net.Dialer, for servers and proxies.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	// LocalAddr is the address to connect from, nil for any. Control is called
	// for such sockets, as that of net.Dialer.
	LocalAddr net.Addr
	Control   func(network, address string, c syscall.RawConn) error
	// Head bounds the answer of an HTTP proxy.
	Head handshake.Limits
}

// Dial connects to t. The error is a *ProxyError if a proxy is to be used and gives no
// way to t, the cause of ctx if that has ended, or what the network says.
func (d *Dialer) Dial(ctx context.Context, t wsurl.Target) (Transport, error) {
	via, err := d.proxy(t)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = wsurl.WithoutURL(parse.URL, err)
		}
		return Transport{}, &ProxyError{Proxy: "(unknown)", Cause: fmt.Errorf("which one to use: %w", err)}
	}
	if via != nil {
		return d.tunnel(ctx, via, t)
	}
	nc, err := d.netDial(ctx, t.HostPort)
	if err != nil {
		return Transport{}, causeOf(ctx, err)
	}
	return Transport{Conn: nc}, nil
}

// proxy returns the proxy for t, nil if there is none.
func (d *Dialer) proxy(t wsurl.Target) (*url.URL, error) {
	switch {
	case d.Proxy != nil:
		return d.Proxy(t.Web())
	case d.NetDial != nil:
		return nil, nil
	}
	return http.ProxyFromEnvironment(&http.Request{URL: t.Web()})
}

// deadlineSlack is how much sooner package net may find a deadline over.
const deadlineSlack = 50 * time.Millisecond

// netDial connects to hostport.
func (d *Dialer) netDial(ctx context.Context, hostport string) (net.Conn, error) {
	if d.NetDial != nil {
		nc, err := d.NetDial(ctx, "tcp", hostport)
		if nc == nil && err == nil {
			err = errors.New("NetDial returned no connection and no error")
		}
		return nc, err
	}
	// Pings notice a dead peer, so TCP need not.
	dialer := net.Dialer{LocalAddr: d.LocalAddr, KeepAlive: -1}
	if d.LocalAddr != nil {
		dialer.Control = d.Control
	}
	return dialer.DialContext(ctx, "tcp", hostport)
}

// causeOf prefers what ended ctx to how that showed. Package net looks at the deadline of
// ctx by itself, and may find it over a moment sooner.
func causeOf(ctx context.Context, err error) error {
	deadline, ok := ctx.Deadline()
	late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	if ok && late && time.Until(deadline) < deadlineSlack {
		<-ctx.Done()
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
