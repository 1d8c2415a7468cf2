package dial

import (
	"context"
	"io"
	"log/slog"
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
func (o *dialOptions) engineOptions(stderr io.Writer) (*engine.DialOptions, error) {
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
	if err := cli.CheckLimits(o.limits); err != nil {
		return nil, err
	}
	compression, err := o.compression.Engine(1, o.limits) // few lines are as long as the default
	if err != nil {
		return nil, err
	}
	config, err := o.tls.Config()
	if err != nil {
		return nil, err
	}
	log := cli.LogOptions{Level: slog.LevelWarn, Quiet: o.quiet}
	opt := &engine.DialOptions{
		Header:       header,
		Origin:       o.origin,
		Subprotocols: o.subprotocols,
		Compression:  compression,
		TLS:          config,
		Limits:       o.limits,
		Logger:       log.Logger(stderr),
	}
	return opt, o.route(opt)
}

// route sets the way to the server.
func (o *dialOptions) route(opt *engine.DialOptions) error {
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

// parseURL checks the URL as far as its user can get it wrong, and returns it
// without user and password.
func parseURL(rawURL string) (string, error) {
	quoted := quotedURL(rawURL)
	u, err := url.Parse(rawURL)
	switch {
	case err != nil, u.Scheme != "ws" && u.Scheme != "wss", u.Hostname() == "":
		return "", cli.Usagef("%s is not a WebSocket URL: write it like ws://127.0.0.1:9001/path", quoted)
	case u.Fragment != "": // RFC 6455 section 3
		return "", cli.Usagef("%s: a WebSocket URL has no fragment; write # as %%23", quoted)
	}
	u.User = nil
	if address := u.String(); !strings.Contains(address, "@") {
		return address, nil
	}
	return u.Scheme + "://...", nil
}

// quotedURL is rawURL as errors show it, which may hold a password before an @.
func quotedURL(rawURL string) string {
	if strings.Contains(rawURL, "@") {
		return "[a URL with an @, not shown]"
	}
	return strconv.Quote(rawURL)
}
