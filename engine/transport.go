package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/fanloop-go/fanloop/loop"
)

// transport is a connection on which the server may be asked.
type transport struct {
	conn     net.Conn
	received []byte // read from it already
}

// transport connects to t, through a proxy if there is one for it.
func (d *dialer) transport(ctx context.Context, t target) (transport, error) {
	via, err := d.proxy(t)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = withoutURL(parse.URL, err)
		}
		return transport{}, fmt.Errorf("which proxy to use: %w", err)
	}
	if via != nil {
		return d.tunnel(ctx, via, t)
	}
	nc, err := d.netDial(ctx, t.hostport)
	if err != nil {
		return transport{}, causeOf(ctx, err)
	}
	return transport{conn: nc}, nil
}

// proxy returns the proxy for t, nil if there is none.
func (d *dialer) proxy(t target) (*url.URL, error) {
	switch {
	case d.opt.Proxy != nil:
		return d.opt.Proxy(t.web())
	case d.opt.NetDial != nil:
		return nil, nil
	}
	return http.ProxyFromEnvironment(&http.Request{URL: t.web()})
}

// netDial connects to hostport.
func (d *dialer) netDial(ctx context.Context, hostport string) (net.Conn, error) {
	if d.opt.NetDial != nil {
		nc, err := d.opt.NetDial(ctx, "tcp", hostport)
		if nc == nil && err == nil {
			err = errors.New("DialOptions.NetDial returned no connection and no error")
		}
		return nc, err
	}
	// Pings notice a dead peer, so TCP need not.
	dialer := net.Dialer{LocalAddr: d.opt.LocalAddr, KeepAlive: -1}
	if d.opt.LocalAddr != nil {
		dialer.Control = loop.BindLate
	}
	return dialer.DialContext(ctx, "tcp", hostport)
}

// causeOf prefers what ended ctx to how that showed.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
