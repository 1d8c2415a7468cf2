package dial

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// engineOptions are what the flags mean to the engine.
func (o *dialOptions) engineOptions() (*engine.DialOptions, error) {
	if o.json && (o.raw || o.verbose) {
		return nil, cli.Usagef("--json is for itself: leave out --raw and --verbose, it has the answer's headers")
	}
	if o.closeCode == 0 && o.closeReason != "" {
		return nil, cli.Usagef("--close-reason: without a code there is no reason; give --close-code too")
	}
	if len(o.closeReason) > maxReason {
		return nil, cli.Usagef("--close-reason: %d bytes, but a close frame holds at most %d", len(o.closeReason), maxReason)
	}
	if !utf8.ValidString(o.closeReason) {
		return nil, cli.Usagef("--close-reason %q: it is not valid UTF-8, as a reason must be", o.closeReason)
	}
	header := make(http.Header)
	for _, h := range o.headers {
		name, text, found := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !found || name == "" {
			return nil, cli.Usagef("--header %q: want 'Name: value'", h)
		}
		header.Add(name, strings.TrimSpace(text))
	}
	for _, err := range []error{o.checkOrigin(), cli.CheckSubprotocols(o.subprotocols), cli.CheckLimits(o.limits)} {
		if err != nil {
			return nil, err
		}
	}
	compression, err := o.compression.Engine(1, o.limits) // few lines are as long as the default
	if err != nil {
		return nil, err
	}
	config, err := o.tls.Config()
	if err != nil {
		return nil, err
	}
	opt := &engine.DialOptions{
		Header:       header,
		Origin:       o.origin,
		Subprotocols: o.subprotocols,
		Compression:  compression,
		TLS:          config,
		Limits:       o.limits,
	}
	return opt, o.route(opt)
}

func (o *dialOptions) checkOrigin() error {
	if o.origin == "" {
		return nil
	}
	return cli.CheckOrigin(o.origin, false)
}

// maxUnixPath is the longest path of a unix socket on Linux, in bytes; other
// systems take no longer ones.
const maxUnixPath = 107

// route sets the way to the server.
func (o *dialOptions) route(opt *engine.DialOptions) error {
	if len(o.unix) > maxUnixPath {
		return cli.Usagef("--unix: %s is too long for a unix socket: choose a shorter path", o.unix)
	}
	if o.unix != "" {
		if o.proxy != "" {
			return cli.Usagef("--unix and --proxy are two ways to the server: give one of them")
		}
		opt.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.unix)
		}
	}
	if o.proxy == "" {
		return nil
	}
	var via *url.URL // nil: none
	if o.proxy != "none" {
		var err error
		via, err = url.Parse(o.proxy)
		if err != nil || via.Hostname() == "" || !slices.Contains([]string{"http", "socks5", "socks5h"}, via.Scheme) || !validPort(via.Port()) {
			return cli.Usagef("--proxy: want a URL like http://user:password@127.0.0.1:3128 or socks5://127.0.0.1:1080, or none")
		}
	}
	opt.Proxy = func(*url.URL) (*url.URL, error) { return via, nil }
	return nil
}

// validPort takes no port, too.
func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

// maxReason is how long the reason in a close frame may be (RFC 6455 section
// 5.5.1).
const maxReason = 123
