package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/proxy"

	"github.com/fanloop-go/fanloop/engine/internal/wsurl"
	"github.com/fanloop-go/fanloop/handshake"
)

// ProxyError says that a proxy gives no way to the server.
type ProxyError struct {
	Proxy  string      // its URL, without user and password; not shown if they cannot be told apart
	Status int         // what an HTTP proxy answered to CONNECT; 0: see Cause
	Reason string      // the reason phrase as sent
	Header http.Header // of the answer
	Cause  error       // what went wrong if there is no answer
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("proxy %s: status %d: %v", e.Proxy, e.Status, e.Cause)
}

// tunnel connects to t through a proxy.
func (d *Dialer) tunnel(ctx context.Context, via *url.URL, t wsurl.Target) (Transport, error) {
	var tr Transport
	var err error
	shown := via.Scheme + "://" + via.Host
	switch {
	case via.Opaque != "" || wsurl.HasLaterAt(via):
		shown = "(its URL is not shown)"
		err = fmt.Errorf("what is special in the user and password of its URL must be percent-encoded: %w", errors.ErrUnsupported)
	case via.Scheme == "http":
		tr, err = d.tunnelHTTP(ctx, via, t)
	case via.Scheme == "socks5", via.Scheme == "socks5h":
		tr, err = d.tunnelSOCKS(ctx, via, t)
	case via.Scheme == "https":
		err = fmt.Errorf("a proxy behind TLS is not supported, use an http or socks5 proxy: %w", errors.ErrUnsupported)
	default:
		err = fmt.Errorf("the scheme must be http, socks5 or socks5h: %w", errors.ErrUnsupported)
	}
	if err == nil {
		return tr, nil
	}
	var refused *ProxyError
	if !errors.As(err, &refused) {
		refused = &ProxyError{Cause: causeOf(ctx, err)}
	}
	refused.Proxy = shown
	return Transport{}, refused
}

// tunnelHTTP asks for a tunnel by CONNECT (RFC 9110 section 9.3.6).
func (d *Dialer) tunnelHTTP(ctx context.Context, via *url.URL, t wsurl.Target) (Transport, error) {
	nc, err := d.netDial(ctx, proxyAddr(via, "80"))
	if err != nil {
		return Transport{}, err
	}
	request := "CONNECT " + t.HostPort + " HTTP/1.1\r\nHost: " + t.HostPort + "\r\n"
	if via.User != nil {
		request += "Proxy-Authorization: " + wsurl.BasicAuth(via.User) + "\r\n"
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	received, err := askForTunnel(nc, request+"\r\n", d.Head)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = nc.Close()
		return Transport{}, err
	}
	return Transport{Conn: nc, Received: received}, nil
}

// askForTunnel returns what came behind the head of the final answer.
func askForTunnel(nc net.Conn, request string, limits handshake.Limits) ([]byte, error) {
	if _, err := nc.Write([]byte(request)); err != nil {
		return nil, err
	}
	var scanner handshake.ResponseScanner
	var head []byte
	buf := make([]byte, 1<<10)
	for {
		n, readErr := nc.Read(buf)
		head = append(head, buf[:n]...)
		resp, end, err := scanner.Scan(head, limits)
		switch {
		case err != nil:
			return nil, err
		case resp != nil && resp.Status/100 != 2:
			return nil, &ProxyError{Status: resp.Status, Reason: resp.Reason, Header: resp.HeaderMap()}
		case resp != nil:
			return head[end:], nil
		case readErr != nil:
			return nil, fmt.Errorf("it ended the connection before its answer was whole: %w", readErr)
		}
	}
}

// tunnelSOCKS asks for a tunnel by RFC 1928, with a password by RFC 1929.
func (d *Dialer) tunnelSOCKS(ctx context.Context, via *url.URL, t wsurl.Target) (Transport, error) {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	first := &keepingDialer{dial: d.netDial}
	// The error is always nil, and the Dialer a ContextDialer, as documented.
	socks, err := proxy.SOCKS5("tcp", proxyAddr(via, "1080"), auth, first)
	if err != nil {
		return Transport{}, err
	}
	if _, err := socks.(proxy.ContextDialer).DialContext(ctx, "tcp", t.HostPort); err != nil {
		return Transport{}, err
	}
	return Transport{Conn: first.conn}, nil // whose wrapper reads not one octet more
}

// keepingDialer keeps the connection it made, which a SOCKS dialer hides.
type keepingDialer struct {
	dial func(ctx context.Context, hostport string) (net.Conn, error)
	conn net.Conn
}

// DialContext implements proxy.ContextDialer.
func (k *keepingDialer) DialContext(ctx context.Context, _, hostport string) (net.Conn, error) {
	var err error
	k.conn, err = k.dial(ctx, hostport)
	return k.conn, err
}

// Dial implements proxy.Dialer.
func (k *keepingDialer) Dial(network, hostport string) (net.Conn, error) {
	return k.DialContext(context.Background(), network, hostport)
}

// proxyAddr returns where a proxy listens; port is that of its scheme.
func proxyAddr(via *url.URL, port string) string {
	if p := via.Port(); p != "" {
		port = p
	}
	return net.JoinHostPort(via.Hostname(), port)
}
